"""DNS queries over UDP, so many outstanding at a time.

Run as `python -m bench.load.dns_queries HOST:PORT OUTSTANDING SECONDS NAME TYPE`; prints
`{"answers": n, "lost": n, "seconds": s, "records": n}`. Queries are encoded before the clock starts.
"""

from __future__ import annotations

import json
import socket
import sys
import time

from dnslib import QTYPE, DNSQuestion, DNSRecord

TIMEOUT_SECONDS = 1.0
"""Silence after which what is outstanding counts as lost."""


def query(name: str, kind: str) -> bytes:
    """A query without its id."""
    return bytes(DNSRecord(q=DNSQuestion(name, getattr(QTYPE, kind))).pack()[2:])


def load(
    address: tuple[str, int], outstanding: int, seconds: float, question: bytes
) -> tuple[int, int, float, bytes]:
    """Answers, queries lost, how many seconds it took, and the last answer."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    client.connect(address)
    client.settimeout(TIMEOUT_SECONDS)
    queries = [number.to_bytes(2) + question for number in range(65_536)]
    began = now = time.monotonic()
    sent = answered = lost = 0
    answer = b""
    for _ in range(outstanding):
        client.send(queries[sent & 0xFFFF])
        sent += 1
    while answered + lost < sent:
        try:
            answer = client.recv(4096)
            answered += 1
        except TimeoutError:
            lost = sent - answered
        now = time.monotonic()
        if now - began < seconds:
            client.send(queries[sent & 0xFFFF])
            sent += 1
    client.close()
    return answered, lost, now - began, answer


if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    count, missing, took, last = load(
        (host, int(port)), int(sys.argv[2]), float(sys.argv[3]), query(sys.argv[4], sys.argv[5])
    )
    records = len(DNSRecord.parse(last).rr) if last else 0
    print(json.dumps({"answers": count, "lost": missing, "seconds": took, "records": records}))
