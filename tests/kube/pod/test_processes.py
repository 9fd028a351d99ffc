"""Whether a container beside ours still runs, by what a shared process namespace shows of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest

from pellucid.kube.pod.departure import LOOK_SECONDS
from pellucid.kube.pod.processes import others_have_ended, others_run

OURS, PAUSE, THEIRS = "0::/\n", "0::/../pause\n", "0::/../application\n"


def processes(directory: Path, **groups: str) -> Path:
    for name, group in {"self": OURS, "p1": PAUSE, "p7": OURS, **groups}.items():
        process = directory / name.removeprefix("p")
        process.mkdir()
        (process / "cgroup").write_text(group)
    (directory / "meminfo").touch()
    return directory


def test_neither_our_own_processes_nor_the_pods_count(tmp_path: Path) -> None:
    assert not others_run(processes(tmp_path, p8=OURS))


def test_a_process_of_another_container_counts(tmp_path: Path) -> None:
    assert others_run(processes(tmp_path, p9=THEIRS))


def test_a_process_that_ends_while_it_is_looked_at_does_not_count(tmp_path: Path) -> None:
    found = processes(tmp_path, p9=THEIRS)
    (found / "9" / "cgroup").unlink()
    assert not others_run(found)


@pytest.mark.parametrize(
    ("seen", "settled_seconds", "looks"),
    [
        ([False, False, True, True, False], 0.0, 3),
        ([True, False, False, True, False], 0.35, 6),
    ],
    ids=["they come, and go", "one that is started again is waited for"],
)
async def test_the_end_comes_after_the_others_came(
    seen: list[bool], settled_seconds: float, looks: int
) -> None:
    slept: list[float] = []
    running: Iterator[bool] = chain(seen, repeat(False))

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    await others_have_ended(settled_seconds, lambda: next(running), sleep)
    assert slept == [LOOK_SECONDS] * looks
