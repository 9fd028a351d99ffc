"""Opens what an agent has as a pod: the API, token reviews, its own authority and certificate."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from pellucid.agent.as_pod import AsPod
from pellucid.agent.configuration import AgentConfiguration
from pellucid.agent.kubernetes.cluster_api import ClusterApi
from pellucid.agent.kubernetes.publishing import publish
from pellucid.agent.kubernetes.reviews import TokenReviews
from pellucid.agent.server_certificate import OwnCertificate
from pellucid.state.log import Log


async def open_as_pod(configuration: AgentConfiguration, log: Log, stack: AsyncExitStack) -> AsPod:
    """Raises ConfigurationError outside a pod. What is opened is closed with the stack."""
    settings = configuration.kubernetes
    api = ClusterApi.of_this_pod()
    stack.push_async_callback(api.close)
    certificate = await OwnCertificate.open(
        log, configuration.datacenter, configuration.node_name, _names(configuration)
    )
    work: dict[str, Coroutine[Any, Any, None]] = {"server certificate": certificate.keep_fresh()}
    if settings.ca_config_map:
        work["server authority"] = publish(api, settings.ca_config_map, certificate.authority_pem)
    tokens = TokenReviews(api, settings.token_audience, frozenset(settings.registrars))
    return AsPod(tokens, certificate, work)


def _names(configuration: AgentConfiguration) -> tuple[str, ...]:
    """What the server is dialled by."""
    return (
        *configuration.kubernetes.server_names,
        f"server.{configuration.datacenter}.{configuration.dns.domain}",
        configuration.node_name,
        configuration.advertise_address,
    )
