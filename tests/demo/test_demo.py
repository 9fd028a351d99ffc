"""The demo tells the truth: it passes here, and it fails when a step does not do what it says."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from pellucid.demo.stage import DidNotHappen, Program, free_port
from pellucid.demo.telling import Telling

LOCAL = [sys.executable, "-m", "pellucid", "demo", "-local"]


@pytest.mark.root
def test_every_step_does_what_it_says() -> None:
    done = subprocess.run(
        LOCAL,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT" not in done.stdout
    for fact in (
        "both Envoys count mutual-TLS handshakes",
        "the server's sidecar proves who it is",
        "requests fail; the first one",
        "requests succeed; the first one",
        "curl got its answer through the sidecar",
        "no process, namespace, mount, interface or firewall rule is left",
    ):
        assert f"ok  {fact}" in done.stdout


def test_a_fact_that_does_not_hold_is_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    telling = Telling()
    telling.saw("water is wet")
    telling.saw("pigs fly", true=False)
    assert telling.failed == ["pigs fly"]
    assert "NOT pigs fly" in capsys.readouterr().out


def test_it_says_what_it_needs_without_root() -> None:
    if os.geteuid() == 0:
        command = [
            "setpriv",
            "--reuid=65534",
            "--clear-groups",
            sys.executable,
            "-m",
            "pellucid",
            "demo",
            "-local",
        ]
    else:
        command = LOCAL
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "needs root" in done.stderr


def test_a_line_that_does_not_come_is_reported_with_the_last_ones() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "print('one'); print('two')"], stdout=subprocess.PIPE, text=True
    )
    program = Program(process)
    assert program.wait_for(lambda line: line == "two").text == "two"
    with pytest.raises(DidNotHappen, match="one\ntwo"):
        program.wait_for(lambda line: line == "three", seconds=0.5)
    program.stop()


def test_only_lines_after_a_moment_count() -> None:
    process = subprocess.Popen([sys.executable, "-c", "print('early')"], stdout=subprocess.PIPE, text=True)
    program = Program(process)
    program.wait_for(lambda line: line == "early")
    assert program.since(time.monotonic()) == []
    with pytest.raises(DidNotHappen):
        program.wait_for(lambda line: line == "early", after=time.monotonic(), seconds=0.2)
    program.stop()


def test_a_port_in_use_is_not_chosen() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) != port
