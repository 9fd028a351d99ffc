"""The web page: three files that a browser shows, and that ask the HTTP API for everything they show."""

from __future__ import annotations

from importlib.resources import files

import msgspec

SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page runs no script and loads nothing but its own files, whatever names services have."""


class PageFile(msgspec.Struct, frozen=True):
    """A file of the page, ready to be sent."""

    body: bytes
    content_type: str


_CONTENT_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
}


def page_file(name: str) -> PageFile | None:
    """A file by its name, the page itself by the empty one; None if there is no such file."""
    name = name or "index.html"
    if name not in _CONTENT_TYPES:
        return None
    return PageFile(files(__name__).joinpath(name).read_bytes(), _CONTENT_TYPES[name])
