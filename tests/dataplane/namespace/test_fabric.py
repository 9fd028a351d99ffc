"""The fabric and its members, in the real kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pellucid.dataplane.namespace.fabric import joined_fabric
from pellucid.dataplane.namespace.workload_namespace import NamespaceError

pytestmark = pytest.mark.root

JOIN = """
import os, sys
from pathlib import Path
from pellucid.dataplane.namespace.fabric import joined_fabric
with joined_fabric(Path(sys.argv[1]), rootless=False) as fabric:
    print(os.fstat(fabric._network_fd).st_ino, fabric.place.number, flush=True)
    sys.stdin.read()
"""


@contextmanager
def member(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """A supervisor in a process of its own; its first line is the fabric's inode and its number."""
    command = [sys.executable, "-c", JOIN, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def joined(process: subprocess.Popen[str]) -> tuple[int, int]:
    assert process.stdout is not None
    inode, number = map(int, process.stdout.readline().split())
    return inode, number


def leave(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait() == 0


def test_members_share_one_fabric_and_have_numbers_of_their_own(tmp_path: Path) -> None:
    with member(tmp_path) as first, member(tmp_path) as second:
        places = [joined(first), joined(second)]
    assert len({inode for inode, _ in places}) == 1
    assert {number for _, number in places} == {2, 3}


def test_many_at_once_agree_on_one_fabric(tmp_path: Path) -> None:
    with ExitStack() as stack:
        places = [joined(process) for process in [stack.enter_context(member(tmp_path)) for _ in range(8)]]
    assert len({inode for inode, _ in places}) == 1
    assert sorted(number for _, number in places) == list(range(2, 10))


def test_the_fabric_outlives_whoever_made_it(tmp_path: Path) -> None:
    with member(tmp_path) as maker:
        fabric, number = joined(maker)
        with member(tmp_path) as other:
            joined(other)
            leave(maker)
            with member(tmp_path) as third:
                assert joined(third) == (fabric, number)


def test_the_last_one_to_leave_leaves_nothing(tmp_path: Path) -> None:
    with joined_fabric(tmp_path / "new", rootless=False):
        assert (tmp_path / "new" / "fabric.json").exists()
    assert list((tmp_path / "new").iterdir()) == []


def test_the_place_of_a_killed_member_is_free_again(tmp_path: Path) -> None:
    with member(tmp_path) as first, member(tmp_path) as second:
        numbers = joined(first)[1], joined(second)[1]
        first.kill()
        first.wait()
        with member(tmp_path) as third:
            assert joined(third)[1] == numbers[0]


def test_a_fabric_whose_members_were_all_killed_is_made_anew(tmp_path: Path) -> None:
    with member(tmp_path) as only:
        joined(only)
        only.kill()
        only.wait()
        assert (tmp_path / "fabric.json").exists()
        with member(tmp_path) as after:
            _, number = joined(after)
    assert number == 2


def test_a_pid_that_belongs_to_another_process_by_now_is_no_member(tmp_path: Path) -> None:
    stranger = {"pid": os.getpid(), "network_fd": 0, "network_inode": 1, "user_fd": None, "number": 2}
    (tmp_path / "fabric.json").write_text(json.dumps([stranger]))
    with joined_fabric(tmp_path, rootless=False) as fabric:
        assert fabric.place.number == 2


def test_a_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "fabric.json").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"), joined_fabric(tmp_path, rootless=False):
        pass
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 1000, 1000)
    with (
        pytest.raises(NamespaceError, match="belongs to another user"),
        joined_fabric(tmp_path, rootless=False),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
