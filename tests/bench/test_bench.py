"""The bench runs: how fast anything is, is no test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.figures import Figure, better, percentile
from bench.load.http_requests import is_complete
from bench.machine import this_machine
from bench.mesh import Size
from bench.plan import OWN, Plan
from bench.report import Run, table
from bench.scenarios import fan_out
from bench.server import BenchError, running

from bench import __main__


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], capture_output=True, text=True, check=False
    )


def test_a_quick_run_prints_a_table_and_writes_every_sample(tmp_path: Path) -> None:
    path = tmp_path / "samples.json"

    done = bench("--quick", "--only", "cli", "--json", str(path))

    assert done.returncode == 0, done.stderr
    assert "intention list: median" in done.stdout
    written = json.loads(path.read_text())
    assert written["machine"]["cores"] >= 1
    assert all(len(each["samples"]) == 5 for each in written["figures"] if each["measure"].endswith("median"))


def test_proxies_are_configured_and_hear_of_every_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "QUICK_SIZES", (Size(services=8, proxies=9),))
    monkeypatch.setattr(fan_out, "QUICK_ROUNDS", 2)
    monkeypatch.setattr(fan_out, "WARM_UP", 0)

    figures = {figure.measure: figure for figure in fan_out.measure(Plan(OWN, quick=True))}

    assert figures["endpoint change: resources built"].value == 1
    assert figures["endpoint change: resources sent"].value == 9


def test_a_program_that_is_no_agent_is_said_to_be_none(tmp_path: Path) -> None:
    not_an_agent = tmp_path / "peer"
    not_an_agent.write_text("#!/bin/sh\necho 'not an agent' >&2; exit 3\n")
    not_an_agent.chmod(0o755)

    with pytest.raises(BenchError, match="not an agent"), running((str(not_an_agent),), peer=True):
        pass


def test_what_could_not_be_measured_is_a_line_and_makes_the_run_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def impossible(_: Plan) -> Iterator[Figure]:
        raise BenchError("there is no such thing")

    monkeypatch.setitem(__main__.SCENARIOS, "dns", impossible)  # type: ignore[arg-type]

    assert __main__.main(["--only", "dns", "--json", str(tmp_path / "samples.json")]) == 1
    assert "skipped (there is no such thing)" in capsys.readouterr().out


def test_a_percentile_is_a_sample() -> None:
    samples = [5.0, 1.0, 4.0, 2.0, 3.0]

    assert percentile(samples, 0.5) == 3.0
    assert percentile(samples, 0.99) == 5.0
    assert percentile([7.0], 0.5) == 7.0


def test_ratios_are_above_one_where_we_are_better() -> None:
    faster = Figure("s", "", "latency", 10.0, "ms", consul=300.0)
    more = Figure("s", "", "rate", 100.0, "/s", less_is_better=False, consul=50.0)

    assert faster.ratio == 30.0
    assert more.ratio == 2.0
    assert better(more, 400.0) == 0.25
    assert Figure("s", "", "skipped", None, "", consul=1.0).ratio is None


def test_the_table_says_which_figures_are_not_of_this_run() -> None:
    ours = Figure("fan-out", "10 proxies", "endpoint change", 2.0, "ms", consul=60.0)
    theirs = Figure("fan-out", "10 proxies", "endpoint change", 4.0, "ms")

    shown = table(Run(this_machine(), (ours,), (theirs,)))

    (line,) = [line for line in shown.splitlines() if "endpoint change" in line]
    assert line.split() == ["endpoint", "change", "2.00", "ms", "60.00", "ms", "30.0x", "4.00", "ms", "2.0x"]
    assert "not measured in this run" in shown


def test_an_answer_is_complete_with_all_of_its_body() -> None:
    assert not is_complete(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntru")
    assert is_complete(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue")
    assert not is_complete(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntrue")
    assert is_complete(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntrue\r\n0\r\n\r\n")
