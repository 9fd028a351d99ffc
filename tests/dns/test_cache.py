"""The cache of ready replies, by itself; what it is for is in the responder's tests."""

from pellucid.dns.cache import MAX_BYTES, MAX_QUERY_BYTES, ReplyCache
from pellucid.dns.names import ServiceLookup
from tests.dns.mesh import Mesh

LOOKUP = ServiceLookup("web")


def test_large_replies_in_many_spellings_push_the_oldest_out() -> None:
    cache = ReplyCache()
    mesh = Mesh()
    version = mesh.version(LOOKUP)
    reply = bytes(60_000)
    fitting = MAX_BYTES // len(reply)
    for number in range(fitting + 5):
        cache.add(b"%d" % number, reply, LOOKUP, version, varies=False)
    assert len(cache) == fitting
    assert cache.size <= MAX_BYTES
    assert cache.find(b"0", mesh) is None
    assert cache.find(b"%d" % (fitting + 4), mesh) == reply


def test_what_is_forgotten_frees_its_bytes() -> None:
    cache = ReplyCache()
    mesh = Mesh()
    cache.add(b"query", b"reply", LOOKUP, "an older version", varies=False)
    assert cache.find(b"query", mesh) is None
    assert (len(cache), cache.size) == (0, 0)


def test_absurdly_long_queries_are_not_remembered() -> None:
    cache = ReplyCache()
    cache.add(bytes(MAX_QUERY_BYTES + 1), b"reply", LOOKUP, None, varies=False)
    assert len(cache) == 0
