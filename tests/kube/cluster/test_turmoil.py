"""Everything is replaced all the time, in no order, and nobody notices.

Only the server's return is waited for: while it is away, callers cannot learn that a pod leaves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

import pytest

from tests.kube.cluster.mesh_on_cluster import Mesh, rotate_root
from tests.kube.cluster.test_interruptions import INJECTOR, SERVER, SERVER_POD

pytestmark = [pytest.mark.root, pytest.mark.nightly, pytest.mark.timeout(600)]

LASTS_S = 120.0
GREETING = "deployment/greeting"


class Turmoil:
    """What may happen to a mesh whose pods call each other."""

    def __init__(self, mesh: Mesh, random: Random) -> None:
        self._mesh, self._random = mesh, random

    def strike(self) -> None:
        """Let something happen, and now and then wait for its end before the next."""
        events: tuple[Callable[[], None], ...] = (
            lambda: self._restart(SERVER),
            lambda: self._restart(INJECTOR),
            lambda: self._restart(GREETING),
            lambda: self._restart(GREETING),
            self._kill_server,
            self._scale,
            self._rotate_root,
            lambda: time.sleep(self._random.uniform(0, 3)),
        )
        self._random.choice(events)()

    def _restart(self, what: str) -> None:
        """kubectl takes two within a second for a mistake."""
        self._mesh.ask(f"kubectl rollout restart {what}")
        if what == SERVER or self._random.random() < 0.6:
            self._mesh.rolled_out(what)

    def _kill_server(self) -> None:
        self._mesh.run(f"kubectl delete {SERVER_POD} --grace-period=0 --force --ignore-not-found")
        self._mesh.rolled_out(SERVER)

    def _scale(self) -> None:
        self._mesh.run(f"kubectl scale {GREETING} --replicas={self._random.choice((2, 3, 4))}")

    def _rotate_root(self) -> None:
        with self._mesh.api() as address:
            rotate_root(address, self._random.choice((256, 384)))


@pytest.mark.parametrize("seed", [1, 2])
def test_restarts_kills_and_rotations_in_any_order_cost_no_request(mesh: Mesh, seed: int) -> None:
    turmoil = Turmoil(mesh, Random(seed))
    end = time.monotonic() + LASTS_S
    with mesh.calls() as calls:
        while time.monotonic() < end:
            turmoil.strike()
        mesh.rolled_out(SERVER)
        mesh.rolled_out(GREETING)
        calls.go_on()
    assert calls.failures == []
