"""Secrets are kept where only their owner can read them, and never half of one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pellucid.foundation.private_file import write_private


def test_a_file_is_replaced_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_somebody_elses_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "secret").symlink_to(elsewhere)
    write_private(tmp_path / "secret", b"new")
    assert not elsewhere.exists()
    assert (tmp_path / "secret").read_bytes() == b"new"


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_private(tmp_path / "taken", b"new")
    assert os.listdir(tmp_path) == ["taken"]
