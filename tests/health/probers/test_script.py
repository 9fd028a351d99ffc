"""Script checks with real processes."""

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from pellucid.health.probers.script import probe_script
from pellucid.health.results import CheckResult
from pellucid.model.checks import CheckStatus
from tests.health.definitions import SECOND, check

PASSING, WARNING, CRITICAL = CheckStatus


async def run(script: str, **fields: object) -> CheckResult:
    return await probe_script(check(script_args=("/bin/sh", "-c", script), **fields))


@pytest.mark.parametrize(("code", "expected"), [(0, PASSING), (1, WARNING), (2, CRITICAL), (127, CRITICAL)])
async def test_the_exit_code_is_the_status(code: int, expected: CheckStatus) -> None:
    assert await run(f"exit {code}") == CheckResult(expected, "")


async def test_a_signal_is_critical() -> None:
    assert (await run("kill -9 $$")).status is CRITICAL


async def test_both_outputs_are_kept_in_their_order() -> None:
    assert (await run("echo one; echo two >&2; echo three")).output == "one\ntwo\nthree\n"


async def test_of_long_output_the_end_is_kept() -> None:
    result = await run("head -c 200000 /dev/zero | tr '\\0' x; printf end", output_max_size=5)
    assert result.output == "Captured 5 of 200003 bytes\n...\nxxend"


async def test_nothing_can_be_read_from_the_standard_input() -> None:
    assert (await run("cat; echo done")).output == "done\n"


async def test_a_script_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pids"
    script = f"sleep 300 & echo $! > {pid_file}; echo $$ >> {pid_file}; echo started; wait"
    result = await run(script, timeout_ns=SECOND // 2)
    assert result == CheckResult(CRITICAL, "Timed out (500ms) running check\n\nstarted\n", counts=False)
    killed = [psutil.Process(pid) for pid in map(int, pid_file.read_text().split()) if psutil.pid_exists(pid)]
    _, alive = await asyncio.to_thread(psutil.wait_procs, killed, 5)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


async def test_a_stopped_check_kills_its_script(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    task = asyncio.create_task(run(f"echo $$ > {fifo}; sleep 300"))
    pid = int(await asyncio.to_thread(fifo.read_text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(pid)


async def test_a_child_that_is_left_behind_does_not_hold_up_the_result(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    result = await run(f"sleep 300 & echo $! > {pid_file}; echo done")
    assert result == CheckResult(PASSING, "done\n")
    psutil.Process(int(pid_file.read_text())).kill()


async def test_a_command_that_does_not_exist_is_critical_in_words() -> None:
    result = await probe_script(check(script_args=("no-such-command-here",)))
    expected = 'exec: "no-such-command-here": executable file not found in $PATH'
    assert result == CheckResult(CRITICAL, expected)


async def test_a_file_that_cannot_be_run_is_critical_in_words(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text("exit 0")
    result = await probe_script(check(script_args=(str(path),)))
    assert result == CheckResult(CRITICAL, f"fork/exec {path}: permission denied")


async def test_no_descriptor_stays_open() -> None:
    await run("true")
    before = psutil.Process().num_fds()
    for _ in range(5):
        await run("true")
        await probe_script(check(script_args=("no-such-command-here",)))
    assert psutil.Process().num_fds() == before
