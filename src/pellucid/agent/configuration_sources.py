"""From files, directories and fragments to one `ConfigurationFile`.

Sources are read in the order of the command line; a directory in the order of its file names. Of two
sources the later one's scalars win, lists are appended, maps are merged key by key.
Source: Consul 1.10 docs, "Configuration", "Configuration Key Reference"; agent/config/builder.go.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, reduce
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from pellucid.agent.configuration_keys import REFUSED, WITHOUT_EFFECT, ConfigurationFile
from pellucid.model import hcl
from pellucid.model.decoding import DecodeError, UnknownKey, decode, unwrapped
from pellucid.model.wire import fields_of, plain_type

T = TypeVar("T", bound=msgspec.Struct)

MAX_FILE_BYTES = 10 * 1024 * 1024
EXTENSIONS = (".hcl", ".json")
FORMATS = ("hcl", "json")


class ConfigurationError(ValueError):
    """The configuration cannot be used; str() names the file, the key and what to do."""


class Source(msgspec.Struct, frozen=True):
    """A piece of configuration: HCL text (or JSON, if it starts with `{`), or keys already read.

    name: where it comes from, for messages.
    """

    name: str
    written: str | Mapping[str, Any]


class Loaded(msgspec.Struct, frozen=True):
    """What sources say together, and a line for each key in them that changes nothing."""

    keys: ConfigurationFile = ConfigurationFile()
    warnings: tuple[str, ...] = ()


def read_sources(paths: Sequence[str], config_format: str = "") -> tuple[Source, ...]:
    """Read the files that `paths` name, and the `.hcl` and `.json` files of the directories.

    config_format: `hcl` or `json` takes every file of a directory, whatever its name.
    Raises ConfigurationError for a path that cannot be read.
    """
    if config_format and config_format not in FORMATS:
        raise ConfigurationError(f"-config-format must be one of hcl, json, not {config_format!r}")
    return tuple(
        Source(file, _read(file))
        for path in paths
        for file in _files_of(path, everything=bool(config_format))
    )


def load(sources: Sequence[Source]) -> Loaded:
    """Decode and merge sources in order.

    Raises ConfigurationError naming the source and every key that is wrong in it.
    """
    parsed = [_parse(source) for source in sources]
    return Loaded(
        reduce(merged, [loaded.keys for loaded in parsed], ConfigurationFile()),
        tuple(line for loaded in parsed for line in loaded.warnings),
    )


def merged(first: T, second: T) -> T:
    """What both say: later scalars win, lists append, maps and structs merge."""
    return type(first)(
        **{name: _merged(getattr(first, name), getattr(second, name)) for name in first.__struct_fields__}
    )


def _merged(first: Any, second: Any) -> Any:
    if first is None or second is None:
        return second if first is None else first
    match first:
        case msgspec.Struct():
            return merged(first, second)
        case tuple():
            return first + second
        case Mapping():
            return {**first, **second}
    return second


def _parse(source: Source) -> Loaded:
    try:
        written = hcl.parse(source.written) if isinstance(source.written, str) else source.written
        if not isinstance(written, Mapping):
            raise ConfigurationError(f"failed to parse {source.name}: expected an object")
        _refuse(source.name, written)
        warnings: list[str] = []
        kept = _acted_upon(written, "", source.name, warnings)
        return Loaded(decode(ConfigurationFile, kept), tuple(warnings))
    except hcl.HclError as error:
        raise ConfigurationError(f"failed to parse {source.name}: {error}") from None
    except DecodeError as error:
        raise ConfigurationError(f"failed to parse {source.name}: {_explained(error)}") from None


def _acted_upon(written: Mapping[str, Any], path: str, name: str, warnings: list[str]) -> dict[str, Any]:
    """`written` without the keys that change nothing, each of which adds a line to `warnings`."""
    kept: dict[str, Any] = {}
    for key, value in written.items():
        full = f"{path}{key.lower()}"
        if reason := WITHOUT_EFFECT.get(full):
            warnings.append(f"{name}: {full} has no effect: {reason}")
        elif any(other.startswith(f"{full}.") for other in WITHOUT_EFFECT):
            kept[key] = _each_map(value, lambda inner, at=f"{full}.": _acted_upon(inner, at, name, warnings))
        else:
            kept[key] = value
    return kept


def _each_map(value: Any, change: Any) -> Any:
    if isinstance(value, Mapping):
        return change(value)
    if isinstance(value, list):
        return [_each_map(item, change) for item in value]
    return value


def _refuse(name: str, written: Mapping[str, Any]) -> None:
    """Raise for a key that promises a protection this agent does not give."""
    for path, reason in REFUSED.items():
        value: Any = written
        for key in path.split("."):
            value = unwrapped(value)
            value = value.get(key) if isinstance(value, Mapping) else None
        if str(unwrapped(value)).lower() in ("true", "1", "t"):
            raise ConfigurationError(f"{name}: {path} = true is refused: {reason}")


def _explained(error: DecodeError) -> str:
    """Every fault on a line, keys as they are spelt in files, with advice for the unknown ones."""
    lines = []
    for fault in error.errors:
        path = _as_in_files(fault.path)
        if isinstance(fault, UnknownKey):
            place = f"line {fault.line}: " if fault.line else ""
            lines.append(f"* invalid config key {path} ({place}{_as_in_files(fault.advice)})")
        else:
            lines.append("* " + str(fault).replace(fault.path, path))
    noun = "error" if len(lines) == 1 else "errors"
    return "\n\t".join([f"{len(lines)} {noun} occurred:", *lines])


def _as_in_files(text: str) -> str:
    """Text with Go's names of keys replaced by the snake_case ones that configuration files use."""
    return re.sub(r"\w+", lambda word: _spellings().get(word[0], word[0]), text)


@cache
def _spellings() -> dict[str, str]:
    structs = _structs_below(ConfigurationFile, set())
    return {field.key: field.name for struct in structs for field in fields_of(struct)}


def _structs_below(
    struct: type[msgspec.Struct], seen: set[type[msgspec.Struct]]
) -> Iterator[type[msgspec.Struct]]:
    """A struct and those inside it; a service definition holds another one, hence `seen`."""
    if struct in seen:
        return
    seen.add(struct)
    yield struct
    for field in fields_of(struct):
        kind = field.type
        while isinstance(kind, inspect.VarTupleType | inspect.DictType):
            kind, _, _ = plain_type(kind.value_type if isinstance(kind, inspect.DictType) else kind.item_type)
        if isinstance(kind, inspect.StructType):
            yield from _structs_below(kind.cls, seen)


def _files_of(path: str, *, everything: bool) -> list[str]:
    if not os.path.exists(path):
        raise ConfigurationError(f"config: Open failed on {path}: no such file or directory")
    if not os.path.isdir(path):
        return [path]
    names = sorted(name for name in os.listdir(path) if everything or name.endswith(EXTENSIONS))
    return [file for file in (os.path.join(path, name) for name in names) if os.path.isfile(file)]


def _read(file: str) -> str:
    try:
        with open(file, "rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"config: Open failed on {file}: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{file} is larger than {MAX_FILE_BYTES} bytes, so it is no configuration")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}") from None
