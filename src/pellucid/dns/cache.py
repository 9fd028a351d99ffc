"""Replies that are ready to be sent again.

A reply is kept under the query's bytes after its id, and stays good as long as the view returns an equal
version for its lookup. Because every reply shows the instances in a fresh random order, several variants are
kept and sent in turn, and all of them are rebuilt after a number of uses, so that over time every instance
comes first equally often.
"""

from __future__ import annotations

from pellucid.dns.names import Lookup
from pellucid.dns.view import View

MAX_ENTRIES = 4096
MAX_BYTES = 16 << 20
"""Of all replies together: a name can be asked in many spellings, and a reply over TCP is up to 64 KiB."""
MAX_QUERY_BYTES = 512
"""Longer queries aren't remembered; a name takes at most 255."""
VARIANTS = 16
USES_PER_VARIANT = 64


class ReplyCache:
    """Encoded replies by query, for one transport."""

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}
        self._bytes = 0
        self.hits = 0
        """How many replies were sent again."""

    def find(self, query: bytes, view: View) -> bytes | None:
        """A reply without its id for a query without its id; None when one has to be built."""
        entry = self._entries.get(query)
        if entry is None:
            return None
        version = view.version(entry.lookup)
        if version is not entry.version and version != entry.version:
            self._forget(query)
            return None
        count = len(entry.variants)
        if count < entry.wanted:
            return None
        entry.uses += 1
        if entry.uses > count * USES_PER_VARIANT:
            self._forget(query)
            return None
        self.hits += 1
        return entry.variants[entry.uses % count]

    def add(self, query: bytes, reply: bytes, lookup: Lookup, version: object, *, varies: bool) -> None:
        """Remember a reply that was built at `version`; `varies` when another build may differ."""
        if len(query) > MAX_QUERY_BYTES:
            return
        entry = self._entries.get(query)
        if entry is None:
            entry = self._entries[query] = _Entry(lookup, version, VARIANTS if varies else 1)
        entry.variants.append(reply)
        self._bytes += len(reply)
        while len(self._entries) > MAX_ENTRIES or self._bytes > MAX_BYTES:
            self._forget(next(iter(self._entries)))

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """The bytes of all replies."""
        return self._bytes

    def _forget(self, query: bytes) -> None:
        self._bytes -= sum(map(len, self._entries.pop(query).variants))


class _Entry:
    __slots__ = ("lookup", "uses", "variants", "version", "wanted")

    def __init__(self, lookup: Lookup, version: object, wanted: int) -> None:
        self.lookup = lookup
        self.version = version
        self.wanted = wanted
        self.variants: list[bytes] = []
        self.uses = 0
