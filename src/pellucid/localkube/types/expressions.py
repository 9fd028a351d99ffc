"""CEL expressions with the functions Kubernetes adds to the language.

Source: Kubernetes docs, "Common Expression Language in Kubernetes"; cel-go's strings and lists extensions.
Not there: quantities, regular expressions that capture, and `?.` (optional fields).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, urlsplit

import cel

KEPT_PROGRAMS = 1024
LONGEST = 16 * 1024
"""Characters of an expression."""

_BOUND = re.compile(r"\.(?:all|exists|exists_one|existsOne|map|filter)\(\s*([A-Za-z_]\w*)\s*,")
_TYPES = frozenset(
    {"bool", "bytes", "double", "duration", "int", "list", "map", "null_type", "string", "timestamp", "uint"}
)
_STANDARD = frozenset(
    {
        "size", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double", "string", "bytes",
        "bool", "dyn", "type", "duration", "timestamp", "getFullYear", "getMonth", "getDate", "getDayOfMonth",
        "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds", "has",
        "all", "exists", "exists_one", "map", "filter", "optional.of", "optional.none", "orValue", "or",
        "hasValue", "value", "min", "max",
    }
)  # fmt: skip
_RESERVED = frozenset(
    {
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
        "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
    }
)  # fmt: skip


class ExpressionError(ValueError):
    """The expression cannot be compiled, or came to nothing; says why."""


class Expression:
    """A compiled expression over the named variables."""

    def __init__(self, text: str, variables: frozenset[str]) -> None:
        """Raises ExpressionError."""
        self.text = text
        if len(text) > LONGEST:
            raise ExpressionError(f"an expression may have at most {LONGEST} characters")
        try:
            self._program = cel.compile(text)
        except ValueError as error:
            raise ExpressionError(_reason(str(error))) from None
        self.variables = frozenset(self._program.variables())
        known = _STANDARD | set(_FUNCTIONS)
        called = {name for name in self._program.functions() if re.fullmatch(r"[A-Za-z][\w.]*", name)}
        strange = sorted(called - known) + sorted(
            self.variables - variables - _TYPES - set(_BOUND.findall(text))
        )
        if strange:
            raise ExpressionError(_undeclared(text, strange[0]))

    def value(self, variables: Mapping[str, Any]) -> Any:
        """What it comes to. Raises ExpressionError."""
        context = cel.Context(variables=dict(variables))
        for name, function in _FUNCTIONS.items():
            context.add_function(name, function)
        try:
            return self._program.execute(context)
        except KeyError as error:
            raise ExpressionError(f"no such key: {error.args[0]}") from None
        except Exception as error:  # whatever an expression or one of its functions runs into
            raise ExpressionError(str(error).splitlines()[0]) from None


@lru_cache(KEPT_PROGRAMS)
def expression(text: str, variables: frozenset[str]) -> Expression:
    """The expression, compiled once. Raises ExpressionError."""
    return Expression(text, variables)


def _reason(text: str) -> str:
    start = text.find("ERROR:")
    return text[start:] if start >= 0 else text


def _undeclared(text: str, name: str) -> str:
    column = max(0, text.find(name))
    return (
        f"ERROR: <input>:1:{column + 1}: undeclared reference to '{name}' (in container '')\n"
        f" | {text}\n | {'.' * column}^"
    )


def undefined_field(text: str, path: str, name: str) -> ExpressionError:
    """The expression reads a field that its object cannot have."""
    column = max(0, text.find(f"{path}.{name}")) + len(path)
    return ExpressionError(
        f"ERROR: <input>:1:{column + 1}: undefined field '{name}'\n | {text}\n | {'.' * column}^"
    )


def escaped(name: str) -> str:
    """A field's name as an expression has it.

    Source: Kubernetes docs, "Escaping" in the validation rules of custom resources.
    """
    if name in _RESERVED:
        return f"__{name}__"
    for character, word in (
        ("__", "__underscores__"),
        (".", "__dot__"),
        ("-", "__dash__"),
        ("/", "__slash__"),
    ):
        name = name.replace(character, word)
    return name


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    parts = list(text) if separator == "" else text.split(separator)
    if 0 < limit < len(parts):
        return [*parts[: limit - 1], separator.join(parts[limit - 1 :])]
    return parts


def _join(parts: Iterable[str], separator: str = "") -> str:
    return separator.join(parts)


def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    return text.replace(old, new, limit)


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= stop <= len(text):
        raise ValueError(f"index out of range: {start if end is None else end}")
    return text[start:stop]


def _index_of(whole: Any, part: Any, start: int = 0) -> int:
    if isinstance(whole, str):
        return whole.find(part, start)
    return next((place for place, one in enumerate(whole) if one == part), -1)


def _last_index_of(whole: Any, part: Any) -> int:
    if isinstance(whole, str):
        return whole.rfind(part)
    return max((place for place, one in enumerate(whole) if one == part), default=-1)


def _is_sorted(values: list[Any]) -> bool:
    return all(one <= other for one, other in pairwise(values))


def _url(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return parts if parts.scheme or text.startswith("/") else None


def _find(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [one[0] for one in re.finditer(pattern, text)]
    return found if limit < 0 else found[:limit]


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "split": _split,
    "join": _join,
    "replace": _replace,
    "substring": _substring,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "charAt": lambda text, place: text[place : place + 1],
    "lowerAscii": lambda text: "".join(one.lower() if one.isascii() else one for one in text),
    "upperAscii": lambda text: "".join(one.upper() if one.isascii() else one for one in text),
    "trim": str.strip,
    "find": _find,
    "findAll": _find_all,
    "isSorted": _is_sorted,
    "sum": sum,
    "isURL": lambda text: _url(text) is not None,
}
