"""What every namespace gets: a service account `default` and the cluster's certificate authority.

Source: Kubernetes docs, "Managing Service Accounts".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pellucid.localkube.controllers.controller import Controller, Trigger
from pellucid.localkube.controllers.plan import NOTHING, Change, Create, Key, Patch, Plan
from pellucid.localkube.controllers.reading import Object, is_deleting, name_of, namespace_of
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS

DEFAULT = "default"
ROOT_CERTIFICATES = "kube-root-ca.crt"


def service_account_controller(authority: str) -> Controller:
    """The controller for a cluster whose certificate authority is `authority` (PEM)."""

    def reconcile(view: View, key: Key, now: datetime) -> Plan:
        namespace = view.get(NAMESPACES, "", key.name)
        if namespace is None or is_deleting(namespace):
            return NOTHING
        changes: list[Change] = []
        if view.get(SERVICE_ACCOUNTS, key.name, DEFAULT) is None:
            changes.append(Create(SERVICE_ACCOUNTS, _account(key.name), quietly=True))
        published = view.get(CONFIG_MAPS, key.name, ROOT_CERTIFICATES)
        data = {"ca.crt": authority}
        if published is None:
            changes.append(Create(CONFIG_MAPS, _certificates(key.name, data), quietly=True))
        elif published.get("data") != data:
            changes.append(Patch(CONFIG_MAPS, key.name, ROOT_CERTIFICATES, {"data": data}))
        return Plan(tuple(changes))

    triggers = {
        NAMESPACES: _namespace,
        SERVICE_ACCOUNTS: _namespace_if(DEFAULT),
        CONFIG_MAPS: _namespace_if(ROOT_CERTIFICATES),
    }
    return Controller("serviceaccount", triggers, reconcile)


def _account(namespace: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": DEFAULT, "namespace": namespace},
    }


def _certificates(namespace: str, data: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": ROOT_CERTIFICATES,
            "namespace": namespace,
            "annotations": {
                "kubernetes.io/description": (
                    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
                    "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
                    "guaranteed across distributions of Kubernetes clusters."
                )
            },
        },
        "data": data,
    }


def _namespace(_view: View, namespace: Object) -> Iterable[Key]:
    return (Key("", name_of(namespace)),)


def _namespace_if(name: str) -> Trigger:
    def trigger(_view: View, item: Object) -> Iterable[Key]:
        return (Key("", namespace_of(item)),) if name_of(item) == name else ()

    return trigger
