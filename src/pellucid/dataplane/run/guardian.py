"""A small process that takes a workload's registration back when its supervisor cannot any more.

The supervisor writes the orders to its standard input, secrets included, and keeps the pipe open. When the
pipe ends without the words "at ease", the supervisor was killed, and the orders are carried out. Everything
else that a supervisor makes (namespaces, processes, links, rules) the kernel takes back by itself.

Started as `python -m pellucid.dataplane.run.guardian`.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable

import msgspec

from pellucid.dataplane.run.agent_api import AgentAddress, AgentError, deregister_service

AT_EASE = b"null"

_ATTEMPTS = 5
_BETWEEN_ATTEMPTS_S = 1.0


class Orders(msgspec.Struct, frozen=True):
    """Services to deregister, sidecars before the services they stand for."""

    agent: AgentAddress
    service_ids: tuple[str, ...]


def watch(lines: Iterable[bytes]) -> Orders | None:
    """The newest orders when the lines have ended; None when there is nothing to do."""
    orders = None
    for line in lines:
        orders = msgspec.json.decode(line, type=Orders | None)
    return orders


def carry_out(orders: Orders) -> None:
    """Deregister; an agent that does not answer is asked again, then the checks' TTL has to do."""
    waiting = list(orders.service_ids)
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_BETWEEN_ATTEMPTS_S)
        waiting = [service_id for service_id in waiting if not _is_deregistered(orders.agent, service_id)]
        if not waiting:
            return


def _is_deregistered(agent: AgentAddress, service_id: str) -> bool:
    try:
        deregister_service(agent, service_id)
    except AgentError as refusal:
        # One that is unknown is as gone as one could wish.
        return "Unknown service" in str(refusal)
    return True


def main() -> None:
    # Whoever ends the supervisor politely has it end us; those signals are not for us.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    orders = watch(sys.stdin.buffer)
    if orders is not None:
        carry_out(orders)


if __name__ == "__main__":
    main()
