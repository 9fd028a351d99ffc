"""Who is calling: a client certificate, a service account's token, or nobody known.

Source: Kubernetes docs, "Authenticating".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid.localkube.api.admission import User
from pellucid.localkube.api.status import unauthorized
from pellucid.localkube.api.tokens import ServiceAccountTokens, TokenRefused
from pellucid.localkube.http.connection import Request

ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


def authenticated(request: Request, tokens: ServiceAccountTokens) -> User:
    """The caller. Raises ApiError 401 for credentials that are not good."""
    if request.certificate is not None:
        return _certified(request.certificate)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return ANONYMOUS
    if scheme.lower() != "bearer":
        raise unauthorized()
    try:
        return tokens.verify(token.strip())
    except TokenRefused:
        raise unauthorized() from None


def _certified(certificate: Mapping[str, Any]) -> User:
    """A certificate's common name is the user, its organizations are the groups."""
    subject = [pair for names in certificate.get("subject", ()) for pair in names]
    name = next((value for key, value in subject if key == "commonName"), "")
    groups = tuple(value for key, value in subject if key == "organizationName")
    return User(name, (*groups, "system:authenticated"))
