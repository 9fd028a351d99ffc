"""HCL text, as Consul's users write it, to plain dicts.

Consul reads version 1 of the language, where a block is a list of one map, items need no
separator (`Kind = "mesh" TransparentProxy { ... }` on one line is fine) and nothing is
interpolated. Readers of version 2 refuse such files, so the grammar is written out here.

A block, repeated or not, becomes a list of maps; labels become nested maps:
`Subsets "v1" { Filter = "x" }` is `{"Subsets": [{"v1": [{"Filter": "x"}]}]}`.
`decoding.decode` undoes the lists of one where a map is wanted.

Text whose first character (after white space) is `{` is JSON, as for Consul.

Source: HCL 1 (github.com/hashicorp/hcl, README "Syntax" and hcl/scanner).
"""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from lark import Lark, Token, UnexpectedToken

_GRAMMAR = r"""
    start: _items
    _items: (item ","?)*
    item: key "=" value         -> assignment
        | key+ body             -> block
    key: IDENTIFIER | STRING
    ?value: NUMBER              -> number
        | BOOLEAN               -> boolean
        | STRING                -> string
        | HEREDOC               -> heredoc
        | body
        | array
    body: "{" _items "}"
    array: "[" [value ("," value)* ","?] "]"

    BOOLEAN.2: /(true|false)(?![\w.-])/
    IDENTIFIER: /[^\W\d][\w.-]*/
    NUMBER: /-?(0[xX][0-9a-fA-F]+|[0-9]*\.[0-9]+([eE][+-]?[0-9]+)?|[0-9]+([eE][+-]?[0-9]+)?)/
    STRING: /"(\$\{[^}]*\}|\$(?!\{)|\\.|[^"\\\n$])*"/
    HEREDOC: /<<-?(?P<anchor>\w+)\r?\n(.*\n)*?[ \t]*(?P=anchor)(?=\r?$)/m

    %ignore /[ \t\r\n\f\uFEFF]+/
    %ignore /(#|\/\/)[^\n]*/
    %ignore /\/\*(.|\n)*?\*\//
"""

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)")
_SINGLE_ESCAPES = dict(zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True))

_TERMINALS = {
    "IDENTIFIER": "a key",
    "NUMBER": "a value",
    "BOOLEAN": "a value",
    "HEREDOC": "a value",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "LSQB": "'['",
    "RSQB": "']'",
    "COMMA": "','",
    "EQUAL": "'='",
}
"""What messages call the terminals. A string is no help: it can always stand for a key or a value."""


class HclError(ValueError):
    """The text is malformed; `str()` is `At <line>:<column>: <why>`, both counted from 1."""

    def __init__(self, line: int, column: int, reason: str) -> None:
        super().__init__(f"At {line}:{column}: {reason}")
        self.line = line
        self.column = column
        self.reason = reason


class Key(str):
    """A key that knows where in the text it stands; line and column are counted from 1."""

    __slots__ = ("column", "line")

    column: int
    line: int

    @classmethod
    def at(cls, line: int, column: int, text: str) -> Key:
        """The key `text` at this place."""
        key = cls(text)
        key.line = line
        key.column = column
        return key


def parse(text: str) -> dict[str, Any]:
    """Read HCL, or JSON if the text starts with `{`, to dicts, lists and scalars.

    Keys of HCL are `Key`s, so that a fault found later can still be pointed at.
    Raises HclError with the line and column of the first fault.
    """
    return _parse_json(text) if text.lstrip().startswith("{") else _parse_hcl(text)


def _parse_json(text: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _json_error(text, str(error)) from None
    return parsed


def _json_error(text: str, otherwise: str) -> HclError:
    """Where the fault is; msgspec is strict but counts bytes, the standard library counts lines."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return HclError(error.lineno, error.colno, error.msg)
    except (ValueError, RecursionError):
        pass
    return HclError(1, 1, otherwise)


def _parse_hcl(text: str) -> dict[str, Any]:
    from lark import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

    try:
        parsed: Any = _parser().parse(text)
    except UnexpectedToken as error:
        if error.token.type == "$END":
            raise _unexpected_end(text) from None
        raise HclError(error.line, error.column, _unexpected(error)) from None
    except UnexpectedCharacters as error:
        raise HclError(error.line, error.column, _illegal(text[error.pos_in_stream :])) from None
    except UnexpectedEOF:
        raise _unexpected_end(text) from None
    return parsed  # type: ignore[no-any-return]


def _unexpected_end(text: str) -> HclError:
    lines = text.split("\n")
    return HclError(len(lines), len(lines[-1]) + 1, "unexpected end of text")


def _unexpected(error: UnexpectedToken) -> str:
    """What stands in the wrong place, and what could stand there."""
    expected = sorted({_TERMINALS[terminal] for terminal in error.accepts if terminal in _TERMINALS})
    alternatives = f", expected {' or '.join(expected)}" if expected else ""
    return f"unexpected {error.token.value[:40]!r}{alternatives}"


def _illegal(rest: str) -> str:
    """Why no token begins with `rest`."""
    if rest.startswith('"'):
        return "literal not terminated"
    if rest.startswith("<<"):
        return "heredoc not terminated"
    if rest.startswith("/*"):
        return "comment not terminated"
    return f"illegal character {rest[0]!r}"


class _Values:
    """Makes values as the text is read, rule by rule, so that deep nesting costs no stack."""

    def key(self, children: list[Token]) -> Key:
        token = children[0]
        return Key.at(token.line, token.column, _unquoted(token) if token.type == "STRING" else token.value)

    def number(self, children: list[Token]) -> int | float:
        token = children[0]
        digits = token.lower().lstrip("-")
        try:
            if digits.startswith("0x"):
                return int(token, 16)
            if digits.isdecimal():
                return int(token, 8 if digits.startswith("0") else 10)
            return float(token)
        except ValueError:
            raise HclError(token.line, token.column, f"illegal number {token[:40]}") from None

    def boolean(self, children: list[Token]) -> bool:
        return bool(children[0] == "true")

    def string(self, children: list[Token]) -> str:
        return _unquoted(children[0])

    def heredoc(self, children: list[Token]) -> str:
        """The lines between the anchors; `<<-` also drops the closing anchor's indentation."""
        opening, *lines, closing = children[0].replace("\r\n", "\n").split("\n")
        indent = closing[: len(closing) - len(closing.lstrip(" \t"))]
        if opening.startswith("<<-") and all(line.startswith(indent) or not line for line in lines):
            lines = [line.removeprefix(indent) for line in lines]
        return "".join(f"{line}\n" for line in lines)

    def array(self, children: list[Any]) -> list[Any]:
        return children

    def assignment(self, children: list[Any]) -> tuple[str, Any]:
        key, value = children
        return key, [value] if isinstance(value, dict) else value

    def block(self, children: list[Any]) -> tuple[str, Any]:
        key, *labels, body = children
        for label in reversed(labels):
            body = {label: [body]}
        return key, [body]

    def body(self, children: list[tuple[str, Any]]) -> dict[str, Any]:
        return _collected(children)

    start = body


@cache
def _parser() -> Lark:
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False, transformer=_Values())


def _collected(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """The items of a body as a map: maps under one key are gathered, otherwise the last one counts."""
    collected: dict[str, Any] = {}
    for key, value in items:
        earlier = collected.get(key)
        collected[key] = earlier + value if _is_block(value) and _is_block(earlier) else value
    return collected


def _is_block(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _unquoted(token: Token) -> str:
    try:
        return _ESCAPE.sub(_unescaped, token[1:-1])
    except ValueError:
        raise HclError(token.line, token.column, "illegal char escape") from None


def _unescaped(match: re.Match[str]) -> str:
    """The character an escape stands for. Raises ValueError for one that is not defined."""
    kind, digits = match[1][0], match[1][1:]
    if kind in _SINGLE_ESCAPES:
        return _SINGLE_ESCAPES[kind]
    code = int(digits, 16) if kind in "xuU" else int(match[1], 8)
    if code > sys.maxunicode or 0xD800 <= code < 0xE000:
        raise ValueError(f"no character has the code {code:#x}")
    return chr(code)
