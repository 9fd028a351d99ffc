"""Token secrets: a Secret with a lasting token for every service account, and for any Secret that asks.

Kubernetes has made none by itself since 1.24. This cluster still does, because charts of that age find an
account's token through its `secrets`. Source: Kubernetes docs, "Managing Service Accounts".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from datetime import datetime

from pellucid.localkube.controllers.controller import Controller, itself
from pellucid.localkube.controllers.plan import NOTHING, Change, Create, Key, Patch, Plan
from pellucid.localkube.controllers.reading import (
    Object,
    annotations_of,
    is_deleting,
    name_of,
    namespace_of,
    uid_of,
)
from pellucid.localkube.controllers.template_hash import template_hash
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import SECRETS, SERVICE_ACCOUNTS

TOKEN_SECRET = "kubernetes.io/service-account-token"  # noqa: S105
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"

IssueToken = Callable[[str, str, str], str]
"""From an account's namespace, name and uid to a token that does not end."""


def token_secret_controller(authority: str, issue: IssueToken) -> Controller:
    """The controller for a cluster whose certificate authority is `authority` (PEM)."""

    def content(account: Object) -> dict[str, str]:
        namespace = namespace_of(account)
        token = issue(namespace, name_of(account), uid_of(account))
        plain = {"token": token, "ca.crt": authority, "namespace": namespace}
        return {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}

    def reconcile(view: View, key: Key, now: datetime) -> Plan:
        account = view.get(SERVICE_ACCOUNTS, key.namespace, key.name)
        if account is None or is_deleting(account):
            return NOTHING
        changes: list[Change] = [
            Patch(SECRETS, key.namespace, name_of(secret), _filled(account, content(account)))
            for secret in _secrets_of(view, account)
            if not (secret.get("data") or {}).get("token")
            or annotations_of(secret).get(ACCOUNT_UID) != uid_of(account)
        ]
        name = f"{key.name}-token-{template_hash(uid_of(account))[:5]}"
        if view.get(SECRETS, key.namespace, name) is None:
            changes.append(Create(SECRETS, _secret(account, name, content(account)), quietly=True))
        listed = account.get("secrets") or []
        if name not in [entry.get("name") for entry in listed]:
            changes.append(
                Patch(SERVICE_ACCOUNTS, key.namespace, key.name, {"secrets": [*listed, {"name": name}]})
            )
        return Plan(tuple(changes))

    return Controller("token-secrets", {SERVICE_ACCOUNTS: itself, SECRETS: _of_secret}, reconcile)


def _secrets_of(view: View, account: Object) -> list[Object]:
    return [
        secret
        for secret in view.list(SECRETS, namespace_of(account))
        if secret.get("type") == TOKEN_SECRET and annotations_of(secret).get(ACCOUNT_NAME) == name_of(account)
    ]


def _filled(account: Object, data: dict[str, str]) -> Object:
    return {"metadata": {"annotations": {ACCOUNT_UID: uid_of(account)}}, "data": data}


def _secret(account: Object, name: str, data: dict[str, str]) -> Object:
    owner = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "name": name_of(account),
        "uid": uid_of(account),
    }
    metadata = {
        "name": name,
        "namespace": namespace_of(account),
        "annotations": {ACCOUNT_NAME: name_of(account), ACCOUNT_UID: uid_of(account)},
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": TOKEN_SECRET, "data": data}


def _of_secret(_view: View, secret: Object) -> Iterable[Key]:
    name = annotations_of(secret).get(ACCOUNT_NAME)
    return (Key(namespace_of(secret), name),) if name and secret.get("type") == TOKEN_SECRET else ()
