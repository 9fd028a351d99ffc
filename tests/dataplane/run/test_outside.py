"""Stand-ins for hosts outside the mesh, and what happens to addresses that nobody has."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .conftest import HERE, Runner

pytestmark = pytest.mark.root

SERVE = (
    "import http.server as h, socket\n"
    "class H(h.BaseHTTPRequestHandler):\n"
    "  def do_GET(self):\n"
    "    self.send_response(200); self.end_headers(); self.wfile.write(b'outside')\n"
    "class S(h.ThreadingHTTPServer): address_family = socket.AF_INET6\n"
    "s = S(('::', 80), H); print('listens', flush=True); s.serve_forever()"
)


@contextmanager
def outside(runner: Runner, addresses: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(HERE / "outside_one.py"), str(runner.directory), addresses]
    with subprocess.Popen(
        [*command, sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM


def fetch(runner: Runner, url: str) -> tuple[int, str]:
    return runner.finish("curl", "-sS", "-m", "10", url)[:2]


def test_workloads_reach_it_at_its_addresses_in_both_families(runner: Runner) -> None:
    with outside(runner, "192.0.2.10,2001:db8::10"):
        assert fetch(runner, "http://192.0.2.10/") == (0, "outside")
        assert fetch(runner, "http://[2001:db8::10]/") == (0, "outside")


def test_addresses_that_nobody_has_are_refused_every_time(runner: Runner) -> None:
    # Through Envoy a refusal looks like an empty reply (52) or a reset (56); a time-out would be 28.
    each = "for a in 192.0.2.99 [2001:db8::99]; do curl -s -m 5 http://$a/; echo $?; done"
    attempts = f"for i in 1 2 3; do {each}; done"
    _, output, _ = runner.finish("bash", "-c", attempts)
    assert set(output.split()) <= {"52", "56"}


def test_its_addresses_are_forgotten_when_it_ends(runner: Runner) -> None:
    waiting = runner.start("sh", "-c", "echo started; read _")
    assert waiting.line() == "started"
    with outside(runner, "192.0.2.10"):
        assert fetch(runner, "http://192.0.2.10/") == (0, "outside")
    assert fetch(runner, "http://192.0.2.10/")[0] in (52, 56)
