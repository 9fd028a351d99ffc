"""What an agent has besides where it is a pod: nothing, until `kubernetes.pod` opens it."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.agent.server_certificate import OwnCertificate
    from pellucid.api.callers import Tokens


@dataclass(frozen=True)
class AsPod:
    """tokens: knows callers; certificate: of the server's own authority; work: to be done while it runs."""

    tokens: Tokens | None = None
    certificate: OwnCertificate | None = None
    work: Mapping[str, Coroutine[Any, Any, None]] = field(default_factory=dict)
