"""Which endpoint a path belongs to, by the rules of Go's ServeMux.

A pattern that ends in `/` matches everything below it, the longest one first; others match exactly.
`/a` where only `/a/` is known, and paths with `//`, `.` or `..`, are redirected.

Source: Go 1.16 standard library, `net/http` (ServeMux).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Handler = TypeVar("Handler")


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[Handler]):
    """One row of the endpoint table."""

    pattern: str
    methods: tuple[str, ...]
    """Accepted methods in the order the `Allow` header lists them; empty: any method."""
    handler: Handler
    answers_options: bool = False
    """True when OPTIONS is the endpoint's own affair, so `Allow` does not list it."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """The path under which the endpoint is found."""

    path: str


class Router(Generic[Handler]):
    """The endpoint table, ready for look-ups."""

    def __init__(self, endpoints: Iterable[Endpoint[Handler]]) -> None:
        self._exact: dict[str, Endpoint[Handler]] = {}
        self._below: dict[str, Endpoint[Handler]] = {}
        for endpoint in endpoints:
            known = self._below if endpoint.pattern.endswith("/") else self._exact
            if known.setdefault(endpoint.pattern, endpoint) is not endpoint:
                raise ValueError(f"endpoint {endpoint.pattern} is defined twice")

    def find(self, path: str) -> Endpoint[Handler] | Redirect | None:
        """The endpoint for a path, where to look instead, or None."""
        clean = _clean(path)
        if clean != path:
            return Redirect(clean)
        if exact := self._exact.get(path):
            return exact
        if path + "/" in self._below:
            return Redirect(path + "/")
        end = len(path)
        while (end := path.rfind("/", 0, end)) >= 0:
            if below := self._below.get(path[: end + 1]):
                return below
        return None


def _clean(path: str) -> str:
    if not path.startswith("/"):
        path = "/" + path
    if "//" not in path and "/." not in path:
        return path
    clean = posixpath.normpath(path)
    # POSIX keeps two leading slashes, Go does not.
    clean = "/" + clean.lstrip("/")
    return clean + "/" if path.endswith("/") and clean != "/" else clean


def methods_allowed(endpoint: Endpoint[Handler]) -> str:
    """The value of the `Allow` header."""
    return ",".join(endpoint.methods if endpoint.answers_options else ("OPTIONS", *endpoint.methods))
