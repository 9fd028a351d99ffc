"""What a sidecar asks of its application for the kubelet, which can't get past a redirection itself.

The injector writes these as flags of the sidecar and as paths of the kubelet's probes; the sidecar asks for
nothing but what its flags name, so that nobody can use it to look around in the pod.
"""

from __future__ import annotations

import msgspec

PREFIX = "/probes"
WITHDRAWN_PATH = "/withdrawn"
"""Answers once proxies have had time to hear that the pod goes."""
WITHDRAWN_SECONDS = 2
"""How long they may take."""
SCHEMES = ("tcp", "http", "https")
_HIGHEST_PORT = 65_535


class InvalidTargetError(ValueError):
    """A text is no probe target; `str()` says how one is written."""


class ProbeTarget(msgspec.Struct, frozen=True):
    """One question to one container. kind: the field that asks, such as `readinessProbe` or `preStop`.

    scheme: one of SCHEMES; path: with its query, empty for tcp.
    """

    container: str
    kind: str
    scheme: str
    port: int
    path: str = ""

    @property
    def asked_at(self) -> str:
        """The path at the sidecar's status port."""
        return f"{PREFIX}/{self.container}/{self.kind}"

    def __str__(self) -> str:
        """As a flag's value: `app/readinessProbe=tcp://127.0.0.1:6379`."""
        return f"{self.container}/{self.kind}={self.scheme}://127.0.0.1:{self.port}{self.path}"


def parse_target(text: str) -> ProbeTarget:
    """The target that `str()` writes. Raises InvalidTargetError."""
    asked, _, url = text.partition("=")
    container, _, kind = asked.partition("/")
    scheme, _, rest = url.partition("://127.0.0.1:")
    number, slash, path = rest.partition("/")
    is_port = number.isascii() and number.isdigit() and 0 < int(number) <= _HIGHEST_PORT
    if not (container and kind and is_port) or scheme not in SCHEMES or (scheme == "tcp" and slash):
        raise InvalidTargetError(f"{text!r} is no probe: write app/readinessProbe=tcp://127.0.0.1:6379")
    return ProbeTarget(container, kind, scheme, int(number), slash + path)
