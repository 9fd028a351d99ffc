"""A server whose clock is not that of the machines with sidecars: it dates what these check by their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.mesh.applications import Served, calling, served
from tests.mesh.load import echo_on
from tests.mesh.mesh import PROGRAMS, Envoy, eventually, running_agent

FIVE_MINUTES_S, AN_HOUR_S = 300, 3600


@contextmanager
def called(server_ahead_s: int) -> Iterator[tuple[int, Envoy, Served]]:
    """A caller's port that leads to a service, the caller's sidecar, and the service."""
    command = (sys.executable, str(PROGRAMS / "at_another_time.py"), str(server_ahead_s))
    with (
        running_agent(command=command) as agent,
        served(agent, "echo", "echo.py") as echo,
        calling(agent, "a", "echo") as (port, caller),
    ):
        yield port, caller, echo


@pytest.mark.parametrize("server_ahead_s", [-FIVE_MINUTES_S, FIVE_MINUTES_S])
def test_five_minutes_either_way_are_no_matter(server_ahead_s: int) -> None:
    with called(server_ahead_s) as (port, caller, echo):
        echo_on(port)()
        for sidecar in (caller, echo.envoy):
            assert sidecar.counter("ssl.handshake")
            assert sidecar.counter("ssl.fail_verify_error") == 0


def test_sidecars_that_are_an_hour_behind_refuse_what_is_not_yet_valid() -> None:
    with called(AN_HOUR_S) as (port, caller, _):
        with pytest.raises((OSError, AssertionError)):
            echo_on(port)()
        eventually(lambda: caller.counter("ssl.fail_verify_error"), "the certificate is refused")
