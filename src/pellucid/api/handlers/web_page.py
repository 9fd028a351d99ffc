"""The web page's files, under the path that the configuration gives it."""

from __future__ import annotations

from pellucid.api.context import ApiContext
from pellucid.api.request import Request
from pellucid.api.response import Response
from pellucid.ui import SECURITY_POLICY, page_file

_HEADERS = (
    ("Content-Security-Policy", SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-cache"),
)


def page(context: ApiContext, request: Request) -> Response:
    """`GET /ui/` and the files beside it."""
    found = page_file(request.below)
    if found is None:
        return Response(404)
    return Response(200, found.body, found.content_type, _HEADERS)
