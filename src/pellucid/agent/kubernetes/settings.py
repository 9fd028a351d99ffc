"""What `pellucid { kubernetes { … } }` comes to, and what cannot be."""

from __future__ import annotations

import re
from ipaddress import ip_address

from pellucid.agent.configuration import Kubernetes, Tls
from pellucid.agent.configuration_keys import KubernetesKeys
from pellucid.agent.configuration_sources import ConfigurationError

_DNS_NAME = re.compile(r"(\*\.)?([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_ACCOUNT = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def kubernetes_settings(keys: KubernetesKeys, tls: Tls) -> Kubernetes:
    """Raises ConfigurationError naming the key."""
    settings = Kubernetes(
        enabled=bool(keys.enabled),
        token_audience=keys.token_audience or "",
        registrars=keys.registrars or (),
        ca_config_map=keys.ca_config_map or "",
        server_names=keys.server_names or (),
    )
    for registrar in settings.registrars:
        if not _ACCOUNT.fullmatch(registrar):
            raise ConfigurationError(
                f'pellucid.kubernetes.registrars: "{registrar}" is no service account; '
                "write it as namespace/name"
            )
    for name in settings.server_names:
        if not _is_ip(name) and not _DNS_NAME.fullmatch(name):
            raise ConfigurationError(
                f'pellucid.kubernetes.server_names: "{name}" is no DNS name and no IP address'
            )
    if settings.enabled:
        _check_together(settings, tls)
    return settings


def _check_together(settings: Kubernetes, tls: Tls) -> None:
    if not settings.token_audience:
        raise ConfigurationError(
            "pellucid.kubernetes.token_audience cannot be empty: without an audience any pod's token, "
            "meant for anyone, would do"
        )
    if tls.cert_file and settings.ca_config_map:
        raise ConfigurationError(
            "pellucid.kubernetes.ca_config_map would publish the server's own authority, which did not sign "
            "cert_file; leave one of them out"
        )
    if tls.verify_incoming and not tls.cert_file:
        raise ConfigurationError("verify_incoming needs cert_file and key_file")


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
