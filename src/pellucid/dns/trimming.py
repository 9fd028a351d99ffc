"""Making a reply fit its transport.

UDP carries 512 bytes, or what the asker's EDNS option offers; without a larger offer only a few answers are
sent, so that clients which take the first ones spread over the instances. TCP carries one message of 64 KiB.
The size of a message is judged from above, as if only the question's own name were compressed; without larger
EDNS not even that, so that forwarders which don't compress can pass the reply on.
Source: Consul 1.10 agent/dns.go, `trimUDPResponse`, `trimTCPResponse`; RFC 1035 section 4.2.
"""

from __future__ import annotations

from collections import defaultdict
from enum import Enum

import msgspec

from pellucid.dns.queries import Edns
from pellucid.dns.records import (
    AAAA,
    MAX_TEXT_BYTES,
    SOA,
    SRV,
    TXT,
    A,
    Data,
    Record,
    Reply,
    name_size,
)
from pellucid.dns.settings import DnsSettings

DEFAULT_UDP_BYTES = 512
MAX_UDP_BYTES = 65467
MAX_UDP_ANSWERS = 8
MAX_TCP_BYTES = 65523
MAX_TCP_ANSWERS = 4096
MAX_TCP_SRV_ANSWERS = 1024

HEADER_BYTES = 12
QUESTION_TAIL_BYTES = 4
RECORD_HEAD_BYTES = 10
"""Type, class, TTL and length of data, between a record's name and its data."""
POINTER_BYTES = 2
MIN_RECORD_BYTES = POINTER_BYTES + RECORD_HEAD_BYTES + 4
"""An address record of the question's own name."""
OPTION_HEAD_BYTES = 4


class Transport(Enum):
    """How a question came, and so how its reply goes."""

    UDP = "udp"
    TCP = "tcp"


def trim(
    reply: Reply, question_name: str, transport: Transport, edns: Edns | None, settings: DnsSettings
) -> Reply:
    """Drop what doesn't fit: authority first, then answers from the end and what they led to."""
    limit = _byte_limit(transport, edns)
    compressed = not settings.disable_compression and limit > DEFAULT_UDP_BYTES
    has_srv = any(isinstance(each.data, SRV) for each in reply.answer)
    kept = first_answers(reply, _count_limit(has_srv, transport, limit, settings))
    kept = _fitted(kept, question_name, limit - _option_size(edns), compressed)
    cut = len(kept.answer) < len(reply.answer)
    return msgspec.structs.replace(kept, truncated=cut and (settings.enable_truncate or not kept.answer))


def most_answers(transport: Transport, edns: Edns | None, settings: DnsSettings) -> int:
    """How many answers it takes to fill a reply and to know that there were more."""
    limit = _byte_limit(transport, edns)
    return _count_limit(False, transport, limit, settings) + 1


def message_size(reply: Reply, question_name: str, compressed: bool) -> int:
    """An upper bound of the reply's bytes without its EDNS option; exact when nothing is compressed."""
    records = (*reply.answer, *reply.authority, *reply.additional)
    return _empty_size(question_name) + sum(_record_size(each, question_name, compressed) for each in records)


def first_answers(reply: Reply, count: int) -> Reply:
    """The reply with its first `count` answers, and of the additional records those that they need."""
    if count >= len(reply.answer):
        return reply
    answer = reply.answer[:count]
    dropped = {each.data.target for each in reply.answer[count:] if isinstance(each.data, SRV)}
    dropped -= {each.data.target for each in answer if isinstance(each.data, SRV)}
    additional = tuple(each for each in reply.additional if each.name not in dropped)
    return msgspec.structs.replace(reply, answer=answer, additional=additional)


def _byte_limit(transport: Transport, edns: Edns | None) -> int:
    if transport is Transport.TCP:
        return MAX_TCP_BYTES
    return min(MAX_UDP_BYTES, max(DEFAULT_UDP_BYTES, edns.udp_bytes if edns else 0))


def _count_limit(has_srv: bool, transport: Transport, limit: int, settings: DnsSettings) -> int:
    if transport is Transport.TCP:
        return MAX_TCP_SRV_ANSWERS if has_srv else MAX_TCP_ANSWERS
    if limit == DEFAULT_UDP_BYTES:
        return min(MAX_UDP_ANSWERS, settings.udp_answer_limit)
    return limit // MIN_RECORD_BYTES


def _fitted(reply: Reply, question_name: str, limit: int, compressed: bool) -> Reply:
    if message_size(reply, question_name, compressed) <= limit or not reply.answer:
        return reply
    reply = first_answers(
        msgspec.structs.replace(reply, authority=()),
        max(1, _answers_within(reply, question_name, limit, compressed)),
    )
    if message_size(reply, question_name, compressed) <= limit:
        return reply
    reply = msgspec.structs.replace(reply, additional=())
    if message_size(reply, question_name, compressed) <= limit:
        return reply
    return msgspec.structs.replace(reply, answer=())


def _answers_within(reply: Reply, question_name: str, limit: int, compressed: bool) -> int:
    """How many answers, each with the additional records it is the first to need, fit `limit` bytes."""
    additional_sizes: dict[str, int] = defaultdict(int)
    for each in reply.additional:
        additional_sizes[each.name] += _record_size(each, question_name, compressed)
    targets = {each.data.target for each in reply.answer if isinstance(each.data, SRV)}
    size = _empty_size(question_name)
    size += sum(needed for name, needed in additional_sizes.items() if name not in targets)
    for count, each in enumerate(reply.answer):
        size += _record_size(each, question_name, compressed)
        if isinstance(each.data, SRV):
            size += additional_sizes.pop(each.data.target, 0)
        if size > limit:
            return count
    return len(reply.answer)


def _empty_size(question_name: str) -> int:
    return HEADER_BYTES + name_size(question_name) + QUESTION_TAIL_BYTES


def _option_size(edns: Edns | None) -> int:
    """The bytes of the EDNS option that the reply will carry."""
    if edns is None:
        return 0
    subnet = OPTION_HEAD_BYTES + len(edns.client_subnet) if edns.client_subnet else 0
    return 1 + RECORD_HEAD_BYTES + subnet


def _record_size(record: Record, question_name: str, compressed: bool) -> int:
    owner = POINTER_BYTES if compressed and record.name == question_name else name_size(record.name)
    return owner + RECORD_HEAD_BYTES + _data_size(record.data)


def _data_size(data: Data) -> int:
    match data:
        case A():
            return 4
        case AAAA():
            return 16
        case SRV():
            return 6 + name_size(data.target)
        case TXT():
            length = len(data.text.encode("utf-8", "surrogateescape"))
            return length + max(1, -(-length // MAX_TEXT_BYTES))
        case SOA():
            return name_size(data.mname) + name_size(data.rname) + 20
        case _:
            return name_size(data.target)
