"""What a shared process namespace shows of the containers beside ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pellucid.kube.pod.processes import Newcomers, last_id, others_run

OURS, PAUSE, THEIRS = "0::/\n", "0::/../pause\n", "0::/../application\n"


def processes(directory: Path, last: int = 7, **groups: str) -> Path:
    for name, group in {"self": OURS, "p1": PAUSE, "p7": OURS, **groups}.items():
        process = directory / name.removeprefix("p")
        process.mkdir()
        (process / "cgroup").write_text(group)
    (directory / "meminfo").touch()
    started(directory, last)
    return directory


def started(directory: Path, last: int) -> None:
    (directory / "loadavg").write_text(f"0.00 0.01 0.05 1/45 {last}\n")


def test_neither_our_own_processes_nor_the_pods_count(tmp_path: Path) -> None:
    assert not others_run(processes(tmp_path, p8=OURS))


def test_a_process_of_another_container_counts(tmp_path: Path) -> None:
    assert others_run(processes(tmp_path, p9=THEIRS))


def test_a_process_that_ends_while_it_is_looked_at_does_not_count(tmp_path: Path) -> None:
    found = processes(tmp_path, p9=THEIRS)
    (found / "9" / "cgroup").unlink()
    assert not others_run(found)


@pytest.mark.parametrize(
    ("last", "groups", "came"),
    [
        (7, {}, False),
        (8, {"p8": OURS}, False),
        (8, {"p8": THEIRS}, True),
        (8, {}, True),
        (3, {}, True),
    ],
    ids=["nobody", "a thread of ours", "another", "one that is gone again", "so many that ids begin again"],
)
def test_whoever_got_an_id_and_is_not_ours_came(
    tmp_path: Path, last: int, groups: dict[str, str], came: bool
) -> None:
    assert Newcomers(7, processes(tmp_path, last, **groups)).came() is came


def test_a_thread_of_ours_that_ends_after_it_was_seen_is_no_newcomer(tmp_path: Path) -> None:
    found = processes(tmp_path, 8, p8=OURS)
    newcomers = Newcomers(7, found)
    assert not newcomers.came()
    (found / "8" / "cgroup").unlink()
    assert not newcomers.came()
    started(found, 9)
    assert newcomers.came()


def test_the_kernel_tells_the_last_id_it_gave() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    assert last_id() >= child
