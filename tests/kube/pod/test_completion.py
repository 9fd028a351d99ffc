"""A sidecar whose pod is to complete ends once the others came and are gone, however quick they were."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

from pellucid.kube.pod.completion import Completion
from pellucid.kube.pod.departure import LOOK_SECONDS
from tests.kube.pod.test_processes import THEIRS, processes, started

Step = Callable[[Path], object]


def starts(found: Path) -> None:
    found.joinpath("9").mkdir()
    found.joinpath("9", "cgroup").write_text(THEIRS)
    started(found, 9)


def ends(found: Path) -> None:
    rmtree(found / "9")


def comes_and_goes(found: Path) -> None:
    started(found, 9)


def nothing(_: Path) -> None:
    """Time goes by."""


async def looks(completion: Completion, found: Path, *steps: Step, settled_seconds: float = 0.0) -> int:
    """How often it looked until it saw the end, one step of the application's between two looks."""
    done = 0

    async def sleep(seconds: float) -> None:
        nonlocal done
        assert seconds == LOOK_SECONDS
        if done < len(steps):
            steps[done](found)
        done += 1

    await asyncio.wait_for(completion.reached(settled_seconds, sleep), 10)
    return done


def completion(tmp_path: Path) -> tuple[Completion, Path]:
    (tmp_path / "proc").mkdir()
    found = processes(tmp_path / "proc")
    return Completion(tmp_path / "note", found), found


async def test_the_end_comes_once_the_others_came_and_are_gone(tmp_path: Path) -> None:
    one, found = completion(tmp_path)
    one.let_others_come()
    assert await looks(one, found, nothing, starts, nothing, ends) == 4


async def test_others_that_nobody_saw_have_come_all_the_same(tmp_path: Path) -> None:
    one, found = completion(tmp_path)
    one.let_others_come()
    assert await looks(one, found, nothing, comes_and_goes) == 2


async def test_one_that_is_started_again_is_waited_for(tmp_path: Path) -> None:
    one, found = completion(tmp_path)
    one.let_others_come()
    steps = (starts, ends, nothing, starts, ends)
    assert await looks(one, found, *steps, settled_seconds=0.35) == len(steps) + 3


async def test_the_first_time_others_are_let_come_counts(tmp_path: Path) -> None:
    one, found = completion(tmp_path)
    one.let_others_come()
    comes_and_goes(found)
    one.let_others_come()
    assert await looks(one, found) == 0


async def test_a_sidecar_that_is_started_again_knows_who_came_before(tmp_path: Path) -> None:
    one, found = completion(tmp_path)
    one.let_others_come()
    comes_and_goes(found)
    assert await looks(Completion(tmp_path / "note", found), found) == 0


async def test_before_others_are_let_come_nothing_ends(tmp_path: Path) -> None:
    one, found = completion(tmp_path)
    comes_and_goes(found)
    waiting = asyncio.create_task(one.reached(0.0))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    one.let_others_come()
    comes_and_goes(found)
    waiting.cancel()
