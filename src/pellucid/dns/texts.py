"""Node metadata as TXT records.

Source: RFC 1464 (`key=value` and its quoting); Consul 1.10 docs, "DNS Interface", keys that start `rfc1035-`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pellucid.dns.records import TXT, Record

PLAIN_VALUE_PREFIX = "rfc1035-"
"""Metadata under such a key is published as its bare value."""


def meta_records(name: str, meta: Mapping[str, str], ttl_s: int) -> tuple[Record, ...]:
    """One TXT record for each entry, in the order of the keys."""
    return tuple(Record(name, ttl_s, TXT(_text(key, meta[key]))) for key in sorted(meta))


def _text(key: str, value: str) -> str:
    if key.lower().startswith(PLAIN_VALUE_PREFIX):
        return value
    quoted_key = re.sub(r"^ +| +$", lambda blanks: "` " * len(blanks[0]), re.sub(r"([`=])", r"`\1", key))
    return f"{quoted_key}={value.replace('`', '``')}"
