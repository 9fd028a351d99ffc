"""Bytes in, bytes out: one packet's way through the room, without a socket.

What needs other name servers comes back as a value that says so: `Forward` for a name outside our zones,
`Resolve` for an answer that leads to one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

import msgspec
import structlog

from pellucid.dns.answers import NO_EXTERNAL, Recurse, answer
from pellucid.dns.cache import ReplyCache
from pellucid.dns.names import Lookup, parse_name
from pellucid.dns.queries import CLASS_ANY, CLASS_IN, Malformed, Query, decode_query
from pellucid.dns.records import Rcode, Record, Reply
from pellucid.dns.replies import encode_refusal, encode_reply
from pellucid.dns.settings import DnsSettings
from pellucid.dns.trimming import Transport, most_answers, trim
from pellucid.dns.view import View

_log = structlog.get_logger("pellucid.dns")


class Forward(msgspec.Struct, frozen=True):
    """Ask the recursors with the packet as it is."""

    packet: bytes
    otherwise: bytes
    """What to send when none of them answers."""


class Resolve(msgspec.Struct, frozen=True):
    """Find the addresses of `names` and call `Responder.complete` with them."""

    names: tuple[str, ...]
    query: Query
    transport: Transport
    seed: int
    """Makes the second build choose what the first did."""
    otherwise: bytes
    """What to send when there is no time for that: the answer without them."""


class Responder:
    """Answers packets from a view, remembering ready replies."""

    def __init__(self, view: View, settings: DnsSettings, *, rng: Random, clock: Callable[[], float]) -> None:
        """rng: orders instances. clock: Unix time in seconds, for the SOA's serial."""
        self._view = view
        self._settings = settings
        self._rng = rng
        self._clock = clock
        self.caches = {transport: ReplyCache() for transport in Transport}

    @property
    def settings(self) -> DnsSettings:
        """The settings in force."""
        return self._settings

    def reload(self, settings: DnsSettings) -> None:
        """Answer by new settings from now on."""
        self._settings = settings
        for cache in self.caches.values():
            cache.clear()

    def respond(self, packet: bytes, transport: Transport) -> bytes | Forward | Resolve | None:
        """The reply to a packet, the way to one, or None when there must be none. Never raises."""
        cache = self.caches[transport]
        try:
            ready = cache.find(packet[2:], self._view)
            if ready is not None:
                return packet[:2] + ready
            query = decode_query(packet)
            if query is None:
                return None
            if isinstance(query, Malformed):
                return encode_refusal(query)
            return self._respond_to(query, packet, transport, cache)
        except Exception as error:
            # A view may fail for one name; the others must go on being answered.
            _log.exception("dns_answer_failed", error=str(error))
            query = decode_query(packet)
            return self._error(query, Rcode.SERVFAIL) if isinstance(query, Query) else None

    def complete(self, resolve: Resolve, found: Mapping[str, tuple[Record, ...]]) -> bytes:
        """The reply with the addresses that were found; names that weren't stay without."""
        external = {name: found.get(name, ()) for name in resolve.names}
        reply = self._answer(resolve.query, resolve.transport, resolve.seed, external)
        if isinstance(reply, Recurse):
            return self._error(resolve.query, reply.otherwise)
        return self._encode(resolve.query, reply, resolve.transport)

    def _respond_to(
        self, query: Query, packet: bytes, transport: Transport, cache: ReplyCache
    ) -> bytes | Forward | Resolve:
        if query.edns is not None and query.edns.version != 0:
            return self._error(query, Rcode.BADVERS)
        if query.qclass not in (CLASS_IN, CLASS_ANY):
            return self._error(query, Rcode.REFUSED)
        lookup, _ = parse_name(query.question.lookup_labels(), query.question.qtype, self._settings)
        version = self._view.version(lookup)
        seed = self._rng.getrandbits(32)
        reply = self._answer(query, transport, seed)
        if isinstance(reply, Recurse):
            if not self._settings.recursors:
                return self._error(query, reply.otherwise)
            return Forward(packet, self._error(query, Rcode.SERVFAIL))
        encoded = self._encode(query, reply, transport)
        if reply.unresolved and self._settings.recursors:
            return Resolve(reply.unresolved, query, transport, seed, encoded)
        if not reply.follows_names:
            self._remember(cache, packet, encoded, lookup, version, reply)
        return encoded

    def _answer(
        self,
        query: Query,
        transport: Transport,
        seed: int,
        external: Mapping[str, tuple[Record, ...]] = NO_EXTERNAL,
    ) -> Reply | Recurse:
        return answer(
            query.question,
            self._view,
            self._settings,
            now_s=self._clock(),
            rng=Random(seed),  # noqa: S311 - spreads load, guards nothing
            external=external,
            most_answers=most_answers(transport, query.edns, self._settings),
        )

    def _encode(self, query: Query, reply: Reply, transport: Transport) -> bytes:
        return encode_reply(
            query,
            trim(reply, query.question.name, transport, query.edns, self._settings),
            authoritative=True,
            recursion_available=bool(self._settings.recursors),
            compress=not self._settings.disable_compression,
        )

    def _error(self, query: Query, rcode: Rcode) -> bytes:
        available = bool(self._settings.recursors)
        return encode_reply(query, Reply(rcode), authoritative=False, recursion_available=available)

    @staticmethod
    def _remember(
        cache: ReplyCache, packet: bytes, encoded: bytes, lookup: Lookup, version: object, reply: Reply
    ) -> None:
        varies = len(reply.answer) > 1 or len(reply.authority) > 1
        cache.add(packet[2:], encoded[2:], lookup, version, varies=varies)
