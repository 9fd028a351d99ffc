"""The recorded session: its exchanges, and what makes two answers the same.

What differs between any two runs is made alike before comparing: ids, certificates, serial numbers,
times, hashes. Ids that an answer brought up stand for ours in later requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

RECORDING = Path(__file__).parent.parent / "data" / "http-exchanges.jsonl"

COMPARED_HEADERS = (
    "content-type",
    "allow",
    "vary",
    "x-consul-default-acl-policy",
    "x-consul-effective-consistency",
    "x-consul-knownleader",
    "x-consul-lastcontact",
    "x-consul-query-backend",
    "x-consul-reason",
)
INDEX_HEADER = "x-consul-index"
INDEX_KEYS = ("CreateIndex", "ModifyIndex")
UNCOMPARED_KEYS = (*INDEX_KEYS, "ContentHash", "Hash", "SerialNumber")

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ALIKE = (
    (re.compile(r"-----BEGIN ([A-Z ]+)-----[^-]+-----END [A-Z ]+-----\n"), r"<\1>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "<time>"),
    (re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){2,}"), "<hex>"),
)


@dataclass(frozen=True)
class Exchange:
    """One request, and what the server answered."""

    id: str
    method: str
    path: str
    query: str
    request_headers: dict[str, str]
    request_body: str | None
    status: int
    response_headers: dict[str, str]
    response_body: str

    @property
    def number(self) -> int:
        """The place in the session, from 1."""
        return int(self.id[1:])

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


def exchanges() -> Iterator[Exchange]:
    """The session in order."""
    for line in RECORDING.read_text().splitlines():
        raw = json.loads(line)
        yield Exchange(
            id=raw["id"],
            method=raw["method"],
            path=raw["path"],
            query=raw.get("query") or "",
            request_headers=raw.get("request_headers") or {},
            request_body=raw.get("request_body"),
            status=raw["status"],
            response_headers={name.lower(): value for name, value in raw["response_headers"].items()},
            response_body=raw.get("response_body") or "",
        )


@dataclass
class Replay:
    """What has been learnt from the answers so far, theirs and ours side by side."""

    ids: dict[str, str] = field(default_factory=dict)
    indexes: dict[int, int] = field(default_factory=dict)
    last_index: dict[str, tuple[int, int]] = field(default_factory=dict)

    def request_text(self, text: str) -> str:
        """A part of their request in our words."""
        text = _UUID.sub(lambda found: self.ids.get(found[0], found[0]), text)
        return re.sub(r"(?<=cas=)\d+", lambda found: str(self.indexes.get(int(found[0]), found[0])), text)

    def differences(self, exchange: Exchange, answer: httpx.Response) -> list[str]:
        """In what our answer differs from theirs; empty when they are the same."""
        theirs, ours = _parsed(exchange.response_body), _parsed(answer.text)
        self._learn(exchange.response_body, answer.text)
        found = []
        if answer.status_code != exchange.status:
            found.append(f"status {answer.status_code}, not {exchange.status}")
        for name in COMPARED_HEADERS:
            expected = exchange.response_headers.get(name)
            if answer.headers.get(name) != expected:
                found.append(f"{name} is {answer.headers.get(name)!r}, not {expected!r}")
        found += self._value_differences(theirs, ours, "body")
        found += self._index_differences(exchange, answer)
        return found

    def _learn(self, theirs: str, ours: str) -> None:
        for their_id, our_id in zip(_UUID.findall(theirs), _UUID.findall(ours), strict=False):
            self.ids.setdefault(their_id, our_id)

    def _value_differences(self, theirs: Any, ours: Any, place: str) -> Iterator[str]:
        match theirs, ours:
            case dict(), dict():
                yield from self._object_differences(theirs, ours, place)
            case list(), list():
                if len(theirs) != len(ours):
                    yield f"{place} has {len(ours)} items, not {len(theirs)}"
                for number, (their_item, our_item) in enumerate(zip(theirs, ours, strict=False)):
                    yield from self._value_differences(their_item, our_item, f"{place}[{number}]")
            case _:
                if self._alike(theirs) != _stripped(ours):
                    yield f"{place} is {ours!r}, not {theirs!r}"

    def _object_differences(self, theirs: dict[str, Any], ours: dict[str, Any], place: str) -> Iterator[str]:
        for key in theirs.keys() - ours.keys():
            yield f"{place}.{key} is missing"
        for key in ours.keys() - theirs.keys():
            yield f"{place}.{key} is not in theirs"
        for key in theirs.keys() & ours.keys():
            if key in INDEX_KEYS:
                self.indexes[theirs[key]] = ours[key]
                if bool(theirs[key]) != bool(ours[key]):
                    yield f"{place}.{key} is {ours[key]}, not {theirs[key]}"
            elif key not in UNCOMPARED_KEYS:
                yield from self._value_differences(theirs[key], ours[key], f"{place}.{key}")

    def _alike(self, theirs: Any) -> Any:
        return _stripped(self.request_text(theirs)) if isinstance(theirs, str) else theirs

    def _index_differences(self, exchange: Exchange, answer: httpx.Response) -> Iterator[str]:
        """The index of one target must rise exactly when theirs did."""
        their_text, our_text = exchange.response_headers.get(INDEX_HEADER), answer.headers.get(INDEX_HEADER)
        if (their_text is None) != (our_text is None):
            yield f"{INDEX_HEADER} is {our_text}, not {their_text}"
        if their_text is None or our_text is None:
            return
        theirs, ours = int(their_text), int(our_text)
        before = self.last_index.get(exchange.target)
        self.last_index[exchange.target] = (theirs, ours)
        if before is not None and (theirs > before[0]) != (ours > before[1]):
            yield f"{INDEX_HEADER} went from {before[1]} to {ours}, theirs from {before[0]} to {theirs}"
        if before is not None and ours < before[1]:
            yield f"{INDEX_HEADER} fell from {before[1]} to {ours}"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _stripped(value: Any) -> Any:
    if isinstance(value, str):
        for pattern, sign in _ALIKE:
            value = pattern.sub(sign, value)
    return value
