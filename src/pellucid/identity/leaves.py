"""The leaf certificates in use: issued on first demand, renewed in time, kept in memory only.

One leaf per service name serves every sidecar of that service. `LeafKeeper` holds no timer and
reads no clock: whoever drives it calls `renew_due(now)` at the instant `next_due()` names. A private
key exists here and in the proxies it is sent to, never on disk.

Source: Consul 1.10 agent/cache-types/connect_ca_leaf.go.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from random import Random

import msgspec

from pellucid.identity.authority import (
    Authority,
    SubjectNames,
    pem_of,
    random_serial_number,
    serial_hex,
    server_names,
)
from pellucid.identity.keys import KeySource, generate_private_key, private_key_pem
from pellucid.identity.renewal import renewal_time, renewal_time_after_root_change

_SOONEST_RENEWAL_S = 1.0
"""Keeps a lifetime shorter than the backdating from making a leaf due the moment it is issued."""


class Leaf(msgspec.Struct, frozen=True):
    """A certificate with its private key. Times are unix seconds."""

    service: str
    spiffe_uri: str
    cert_chain_pem: str
    """The leaf first, then what links it to roots that peers may still hold."""
    private_key_pem: str
    serial_number: str
    """Colon-separated hex."""
    valid_after: int
    valid_before: int
    root_id: str
    """The root that signed it."""

    def __repr__(self) -> str:
        """Says which leaf it is, and keeps the private key out of logs and tracebacks."""
        return f"Leaf({self.spiffe_uri}, serial {self.serial_number}, root {self.root_id})"


def issue(
    authority: Authority,
    names: SubjectNames,
    *,
    service: str,
    serial_number: int,
    now: float,
    ttl_s: float,
    key_source: KeySource = generate_private_key,
) -> Leaf:
    """Make a key pair and have `authority` sign it for `names`.

    Raises SigningError when the authority's root has expired.
    """
    key = key_source("ec", 256)
    certificate = authority.sign_leaf(
        key.public_key(), names, serial_number=serial_number, now=now, ttl_s=ttl_s
    )
    return Leaf(
        service=service,
        spiffe_uri=names.uri,
        cert_chain_pem=pem_of(certificate) + authority.chain_below_root,
        private_key_pem=private_key_pem(key),
        serial_number=serial_hex(serial_number),
        valid_after=int(certificate.not_valid_before_utc.timestamp()),
        valid_before=int(certificate.not_valid_after_utc.timestamp()),
        root_id=authority.root.id,
    )


def issue_server(
    authority: Authority,
    node: str,
    names: Sequence[str],
    *,
    now: float,
    ttl_s: float,
    serial_number: int | None = None,
) -> Leaf:
    """Make the certificate of the agent's own TLS listeners (HTTPS, xDS).

    names: DNS names and IP addresses under which clients dial this agent; loopback is added.
    """
    return issue(
        authority,
        server_names(authority, node, names),
        service="",
        serial_number=random_serial_number() if serial_number is None else serial_number,
        now=now,
        ttl_s=ttl_s,
    )


class LeafKeeper:
    """The current leaf of every service that was asked for, and when each is due for renewal."""

    def __init__(
        self,
        authority: Authority,
        *,
        ttl_s: float,
        random: Random | None = None,
        key_source: KeySource = generate_private_key,
        next_serial_number: Callable[[], int] = random_serial_number,
    ) -> None:
        self._authority = authority
        self._ttl_s = ttl_s
        # Spreads load; no secret depends on it.
        self._random = random or Random()  # noqa: S311
        self._key_source = key_source
        self._next_serial_number = next_serial_number
        self._leaves: dict[str, Leaf] = {}
        self._due: dict[str, float] = {}
        self._queue: list[tuple[float, str]] = []
        self._latest_now = float("-inf")

    def __len__(self) -> int:
        return len(self._leaves)

    def __repr__(self) -> str:
        return f"LeafKeeper({len(self)} leaves, root {self._authority.root.id}, next due {self.next_due()})"

    @property
    def authority(self) -> Authority:
        """The authority that signs the next leaf."""
        return self._authority

    def leaf(self, service: str, now: float) -> Leaf:
        """The leaf of `service`: the one in use, or a new one on first demand or when it is out of date."""
        held = self._leaves.get(service)
        if held is not None and held.valid_after <= now < held.valid_before:
            return held
        return self._issue(service, now)

    def next_due(self) -> float | None:
        """When `renew_due` has something to do next; None while no leaf is held."""
        while self._queue and self._due.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def renew_due(self, now: float) -> tuple[str, ...]:
        """Renew every leaf that is due and return the names of those that changed, soonest due first.

        A clock that went backwards is noticed: leaves that are not valid yet by the new time are
        renewed too, since peers would refuse them.
        Raises SigningError when the root has expired; the leaf stays in use and stays due.
        """
        if now < self._latest_now:
            self._pull_forward_leaves_from_the_future(now)
        self._latest_now = now
        changed = []
        while (due := self.next_due()) is not None and due <= now:
            service = self._queue[0][1]
            self._issue(service, now)
            changed.append(service)
        return tuple(changed)

    def use(self, authority: Authority, now: float, *, ttl_s: float | None = None) -> None:
        """Sign with `authority` (and `ttl_s`) from now on.

        With another root than before, every leaf becomes due at a random instant within 30 seconds;
        a new lifetime alone applies from each leaf's next renewal.
        """
        rotated = authority.root.id != self._authority.root.id
        self._authority = authority
        if ttl_s is not None:
            self._ttl_s = ttl_s
        if rotated:
            for service, due in list(self._due.items()):
                self._schedule(service, renewal_time_after_root_change(now, due, self._random))

    def forget(self, service: str) -> None:
        """Drop the leaf of a service nobody asks for any more; its key is gone with it."""
        self._leaves.pop(service, None)
        self._due.pop(service, None)

    def _issue(self, service: str, now: float) -> Leaf:
        leaf = issue(
            self._authority,
            SubjectNames(self._authority.service_uri(service)),
            service=service,
            serial_number=self._next_serial_number(),
            now=now,
            ttl_s=self._ttl_s,
            key_source=self._key_source,
        )
        self._leaves[service] = leaf
        self._latest_now = max(self._latest_now, now)
        due = renewal_time(leaf.valid_after, leaf.valid_before, self._random)
        self._schedule(service, max(now + _SOONEST_RENEWAL_S, due))
        return leaf

    def _schedule(self, service: str, due: float) -> None:
        self._due[service] = due
        heapq.heappush(self._queue, (due, service))

    def _pull_forward_leaves_from_the_future(self, now: float) -> None:
        for service, leaf in self._leaves.items():
            if leaf.valid_after > now:
                self._schedule(service, now)
