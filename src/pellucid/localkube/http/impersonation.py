"""Acting as somebody else: the `Impersonate-*` headers, for who may.

Source: Kubernetes docs, "Authenticating - User impersonation".
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from pellucid.localkube.api.access import Access, Attributes, refusal
from pellucid.localkube.api.admission import User
from pellucid.localkube.api.status import ApiError, bad_request
from pellucid.localkube.http.connection import Request

_EXTRA = "impersonate-extra-"
_ACCOUNT = "system:serviceaccount:"
_AUTHENTICATION = "authentication.k8s.io"


def impersonated(request: Request, user: User, access: Access) -> User:
    """Whom the caller acts as: themselves, unless the request says otherwise. Raises ApiError 400, 403."""
    headers = request.headers
    name = headers.get("impersonate-user", "")
    groups = tuple(one for one in headers.get("impersonate-group", "").split(",") if one)
    extra = {
        unquote(header.removeprefix(_EXTRA)): tuple(value.split(","))
        for header, value in headers.items()
        if header.startswith(_EXTRA)
    }
    uid = headers.get("impersonate-uid", "")
    if not name:
        if groups or extra or uid:
            raise bad_request("requested impersonation of groups, uid or extra without impersonating a user")
        return user
    for wanted in _wanted(name, groups, extra, uid):
        if not access.allowed(user, wanted):
            named = f'{wanted.resource} "{wanted.name}"'
            if wanted.group:
                named = f'{wanted.resource}.{wanted.group} "{wanted.name}"'
            details = {"name": wanted.name, "kind": wanted.resource}
            raise ApiError(403, "Forbidden", f"{named} is forbidden: {refusal(user, wanted)}", details)
    if not groups and name.startswith(_ACCOUNT):
        namespace = name.removeprefix(_ACCOUNT).split(":")[0]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    known = "system:unauthenticated" if name == "system:anonymous" else "system:authenticated"
    return User(name, tuple(dict.fromkeys((*groups, known))), uid, tuple(extra.items()))


def _wanted(
    name: str, groups: tuple[str, ...], extra: dict[str, tuple[str, ...]], uid: str
) -> Iterator[Attributes]:
    account = name.removeprefix(_ACCOUNT).split(":") if name.startswith(_ACCOUNT) else []
    if len(account) == 2:
        yield Attributes("impersonate", "", "serviceaccounts", "", account[0], account[1])
    else:
        yield Attributes("impersonate", "", "users", name=name)
    for group in groups:
        yield Attributes("impersonate", "", "groups", name=group)
    for key, values in extra.items():
        for value in values:
            yield Attributes("impersonate", _AUTHENTICATION, "userextras", key, name=value)
    if uid:
        yield Attributes("impersonate", _AUTHENTICATION, "uids", name=uid)
