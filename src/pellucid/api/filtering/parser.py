"""Text to expression, by the grammar and with the error texts of Consul's parser.

That parser is a PEG: alternatives are tried in order, and when none fits the error names the
farthest place any of them reached and everything that would have been right there. So this one
backtracks in the same order and keeps the same account.

    or     <- and (_ "or" _ or)?          and    <- not (_ "and" _ and)?
    not    <- "not" _ not / group         group  <- "(" _? or _? ")" / match
    match  <- selector op value / selector emptiness / value membership selector

Source: github.com/hashicorp/go-bexpr 0.1.2 grammar.peg; github.com/mna/pigeon (errors).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from pellucid.api.filtering.syntax import And, Expression, FilterError, Match, Not, Operator, Or
from pellucid.model.go_text import quote

MAX_LENGTH = 8_192
MAX_DEPTH = 64
"""Parentheses and `not`s inside each other."""

T = TypeVar("T")


class _Failed(Exception):
    """This alternative does not fit; the next one is tried."""


def parse(text: str) -> Expression:
    """Read an expression. Raises FilterError."""
    if len(text) > MAX_LENGTH:
        raise FilterError(f"the filter has {len(text)} characters; at most {MAX_LENGTH} are allowed")
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._farthest = 0
        self._expected: set[str] = set()

    # Expressions

    def whole(self) -> Expression:
        try:
            self._maybe_space()
            expression = self._or()
            self._maybe_space()
            if self._at < len(self._text):
                self._missed("EOF")
                raise _Failed
        except _Failed:
            raise FilterError(self._no_match()) from None
        return expression

    def _or(self) -> Expression:
        left = self._and()
        right = self._attempt(lambda: self._continued("or", self._or))
        return left if right is None else Or(left, right)

    def _and(self) -> Expression:
        left = self._not()
        right = self._attempt(lambda: self._continued("and", self._and))
        return left if right is None else And(left, right)

    def _continued(self, word: str, operand: Callable[[], Expression]) -> Expression:
        self._space()
        self._literal(word)
        self._space()
        return operand()

    def _not(self) -> Expression:
        negated = self._attempt(self._negated)
        return self._group() if negated is None else negated

    def _negated(self) -> Expression:
        self._literal("not")
        self._space()
        with_operand = self._nested(self._not)
        return Not(with_operand)

    def _group(self) -> Expression:
        grouped = self._attempt(self._parenthesized)
        return self._match() if grouped is None else grouped

    def _parenthesized(self) -> Expression:
        self._literal("(")
        self._maybe_space()
        expression = self._nested(self._or)
        self._maybe_space()
        self._literal(")")
        return expression

    def _nested(self, rule: Callable[[], Expression]) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError(f"the filter is nested more than {MAX_DEPTH} deep")
        try:
            return rule()
        finally:
            self._depth -= 1

    # Matches

    def _match(self) -> Match:
        return self._first_of(self._selector_and_value, self._emptiness, self._membership)

    def _selector_and_value(self) -> Match:
        selector = self._selector()
        operator = self._first_of(
            lambda: self._symbol("==", Operator.EQUAL),
            lambda: self._symbol("!=", Operator.NOT_EQUAL),
            lambda: self._words(("contains",), Operator.IN),
            lambda: self._words(("not", "contains"), Operator.NOT_IN),
            lambda: self._words(("matches",), Operator.MATCHES),
            lambda: self._words(("not", "matches"), Operator.NOT_MATCHES),
        )
        return Match(selector, operator, self._value())

    def _emptiness(self) -> Match:
        selector = self._selector()
        operator = self._first_of(
            lambda: self._words(("is", "empty"), Operator.IS_EMPTY, closed=False),
            lambda: self._words(("is", "not", "empty"), Operator.IS_NOT_EMPTY, closed=False),
        )
        return Match(selector, operator)

    def _membership(self) -> Match:
        value = self._value()
        operator = self._first_of(
            lambda: self._words(("in",), Operator.IN),
            lambda: self._words(("not", "in"), Operator.NOT_IN),
        )
        return Match(self._selector(), operator, value)

    def _symbol(self, symbol: str, operator: Operator) -> Operator:
        self._maybe_space()
        self._literal(symbol)
        self._maybe_space()
        return operator

    def _words(self, words: tuple[str, ...], operator: Operator, *, closed: bool = True) -> Operator:
        """Words with space before each, and after the last when something follows."""
        for word in words:
            self._space()
            self._literal(word)
        if closed:
            self._space()
        return operator

    # Selectors and values

    def _selector(self) -> tuple[str, ...]:
        parts = [self._identifier()]
        while (part := self._attempt(self._next_part)) is not None:
            parts.append(part)
        return tuple(parts)

    def _next_part(self) -> str:
        return self._first_of(self._dotted, self._indexed)

    def _dotted(self) -> str:
        self._literal(".")
        return self._identifier()

    def _indexed(self) -> str:
        self._literal("[")
        self._maybe_space()
        key = self._string()
        self._maybe_space()
        self._literal("]")
        return key

    def _identifier(self) -> str:
        start = self._at
        self._character(_LETTER)
        while self._at < len(self._text) and _NAME_CHARACTER.fits(self._text[self._at]):
            self._at += 1
        self._missed(_NAME_CHARACTER.label)
        return self._text[start : self._at]

    def _value(self) -> str:
        return self._first_of(lambda: ".".join(self._selector()), self._number, self._string)

    def _number(self) -> str:
        start = self._at
        self._attempt(lambda: self._literal("-"))
        self._first_of(lambda: self._literal("0"), self._digits)
        self._attempt(self._fraction)
        after = self._text[self._at : self._at + 1]
        if after and after not in " \t\r\n)":
            self._missed(_SPACE.label, "EOF", '")"')
            raise _Failed
        return self._text[start : self._at]

    def _digits(self) -> str:
        start = self._at
        self._character(_FIRST_DIGIT)
        self._digit_run()
        return self._text[start : self._at]

    def _fraction(self) -> None:
        self._literal(".")
        self._character(_DIGIT)
        self._digit_run()

    def _digit_run(self) -> None:
        while self._at < len(self._text) and _DIGIT.fits(self._text[self._at]):
            self._at += 1

    def _string(self) -> str:
        return self._first_of(lambda: self._quoted("`"), lambda: self._quoted('"'))

    def _quoted(self, mark: str) -> str:
        self._literal(mark)
        end = self._text.find(mark, self._at)
        if end < 0:
            raise FilterError(f'{self._place(len(self._text))}: rule "string": Unterminated string literal')
        content = self._text[self._at : end]
        self._at = end + 1
        return content if mark == "`" else self._unescaped(content)

    def _unescaped(self, content: str) -> str:
        if "\n" in content or "\\" in _ESCAPE.sub("", content):
            raise FilterError(f'{self._place(self._at)}: rule "string": invalid syntax')
        return _ESCAPE.sub(_escaped_character, content)

    # Terminals

    def _first_of(self, *alternatives: Callable[[], T]) -> T:
        for alternative in alternatives:
            found = self._attempt(alternative)
            if found is not None:
                return found
        raise _Failed

    def _attempt(self, rule: Callable[[], T]) -> T | None:
        start = self._at
        try:
            return rule()
        except _Failed:
            self._at = start
            return None

    def _literal(self, literal: str) -> str:
        if not self._text.startswith(literal, self._at):
            self._missed(quote(literal))
            raise _Failed
        self._at += len(literal)
        return literal

    def _character(self, wanted: _CharacterClass) -> None:
        if self._at >= len(self._text) or not wanted.fits(self._text[self._at]):
            self._missed(wanted.label)
            raise _Failed
        self._at += 1

    def _space(self) -> None:
        self._character(_SPACE)
        self._maybe_space()

    def _maybe_space(self) -> None:
        while self._at < len(self._text) and _SPACE.fits(self._text[self._at]):
            self._at += 1
        self._missed(_SPACE.label)

    # Errors

    def _missed(self, *wanted: str) -> None:
        """Note what would have been right here, unless the text has been understood farther than this."""
        if self._at > self._farthest:
            self._farthest = self._at
            self._expected = set()
        if self._at == self._farthest:
            self._expected.update(wanted)

    def _no_match(self) -> str:
        end_fits = "EOF" in self._expected
        wanted = sorted(self._expected - {"EOF"}) + (["EOF"] if end_fits else [])
        listed = wanted[0] if len(wanted) == 1 else f"{', '.join(wanted[:-1])} or {wanted[-1]}"
        return f"{self._place(self._farthest)}: no match found, expected: {listed}"

    def _place(self, at: int) -> str:
        before = self._text[:at]
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        return f"{line}:{column} ({len(before.encode())})"


class _CharacterClass:
    def __init__(self, label: str) -> None:
        self.label = label
        """As the grammar writes it, which is how errors show it."""
        self._pattern = re.compile(label)

    def fits(self, character: str) -> bool:
        return self._pattern.match(character) is not None


_LETTER = _CharacterClass("[a-zA-Z]")
_NAME_CHARACTER = _CharacterClass("[a-zA-Z0-9_]")
_FIRST_DIGIT = _CharacterClass("[1-9]")
_DIGIT = _CharacterClass("[0-9]")
_SPACE = _CharacterClass(r"[ \t\r\n]")

_ESCAPE = re.compile(
    r"\\(?:(?P<letter>[abfnrtv\\])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|(?P<octal>[0-3][0-7]{2}))"
)
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


def _escaped_character(found: re.Match[str]) -> str:
    if found["letter"]:
        return _LETTERS[found["letter"]]
    return chr(int(found["octal"], 8) if found["octal"] else int(found["x"] or found["u"], 16))
