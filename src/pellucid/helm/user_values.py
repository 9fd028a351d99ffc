"""The values a user gives: files and `--set` flags, merged in helm's order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.helm.flags import Flag, UsageError

if TYPE_CHECKING:
    from typing import TextIO

    from pellucid.helm.flags import Said

FLAGS = (
    Flag("values", "A YAML file of values; - for standard input.", kind="comma list", short="f"),
    Flag("set", "Values: key1=val1,key2=val2", kind="list"),
    Flag("set-string", "Values that stay strings: key1=val1,key2=val2", kind="list"),
    Flag("set-file", "Values from files: key1=path1,key2=path2", kind="list"),
    Flag("set-json", "Values as JSON: key1=json1, or one JSON object", kind="list"),
    Flag("set-literal", "One value, taken as it is: key=value", kind="list"),
)
_SETTERS = ("set-json", "set", "set-string", "set-file", "set-literal")
"""Later ones win. Source: helm's values.Options.MergeValues."""


def user_values(said: Said, stdin: TextIO) -> dict[str, Any]:
    """All values of one command line. Raises UsageError, EngineError."""
    from pellucid.helm import engine

    values: dict[str, Any] = {}
    for file in said.list("values"):
        values = merged(values, engine.yaml_values(_text(file, stdin)))
    for kind in _SETTERS:
        for expression in said.list(kind):
            if kind == "set-json" and expression.lstrip().startswith("{"):
                values = merged(values, _json_object(expression))
            else:
                by_index = "[" in expression.partition("=")[0]
                values = merged(values, engine.set_values(kind, expression), by_index=by_index)
    return values


def merged(base: dict[str, Any], over: dict[str, Any], *, by_index: bool = False) -> dict[str, Any]:
    """`base` with `over` on top: objects are merged, everything else is replaced.

    by_index: lists are merged element by element, as `--set a[1]=x` means it: null elements of `over` leave
    those of `base`.
    """
    return base | {key: _merged_value(base.get(key), value, by_index) for key, value in over.items()}


def _merged_value(base: Any, over: Any, by_index: bool) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return merged(base, over, by_index=by_index)
    if by_index and isinstance(base, list) and isinstance(over, list):
        both = zip(base, over, strict=False)
        kept = [old if new is None else _merged_value(old, new, by_index) for old, new in both]
        return kept + over[len(base) :] + base[len(over) :]
    return over


def _json_object(text: str) -> dict[str, Any]:
    import json

    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise UsageError(f"failed parsing --set-json data {text}: {error}") from None
    return found


def _text(file: str, stdin: TextIO) -> str:
    if file == "-":
        return stdin.read()
    if "://" in file:
        raise UsageError(f"--values {file}: values are read from files only; fetch it first")
    try:
        return Path(file).read_text()
    except UnicodeDecodeError:
        raise UsageError(f"--values {file}: the file is not UTF-8") from None
    except OSError as error:
        raise UsageError(f"open {file}: {str(error.strerror).lower()}") from None
