"""A file of further images: what it may say, and how two of them are joined."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pellucid.localkube.images.image_entries import (
    ImageEntry,
    InvalidImageTable,
    joined,
    read_image_entries,
    write_image_entries,
)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": "a", "entrypont": []}, "entrypont"),
        ({"name": "UPPER", "command": ["x"]}, r"\$\[0\].name: 'UPPER'"),
        ({"name": "a"}, "neither `entrypoint` nor `command`"),
        (
            {"name": "a", "command": ["x"], "binds": [{"source": "here", "destination": "/x"}]},
            r"binds\[0\].source: 'here' is no absolute path",
        ),
        (
            {"name": "a", "command": ["x"], "binds": [{"source": "/x", "destination": "/x/../y"}]},
            r"binds\[0\].destination",
        ),
    ],
)
def test_a_mistake_is_told_by_file_and_field(tmp_path: Path, entry: dict[str, object], said: str) -> None:
    file = tmp_path / "images.json"
    file.write_text(json.dumps([entry]))
    with pytest.raises(InvalidImageTable, match=said) as caught:
        read_image_entries(file)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidImageTable, match=r"none\.json: No such file"):
        read_image_entries(tmp_path / "none.json")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    entries = (ImageEntry("acme/app:1", command=("app",), environment={"A": "b"}, working_dir="/srv"),)
    write_image_entries(tmp_path / "images.json", entries)
    assert read_image_entries(tmp_path / "images.json") == entries


def test_of_two_images_with_one_name_the_newer_one_stays() -> None:
    older = (ImageEntry("a", command=("1",)), ImageEntry("b", command=("1",)))
    newer = (ImageEntry("b", command=("2",)),)
    assert [(one.name, one.command) for one in joined(older, newer)] == [("b", ("2",)), ("a", ("1",))]
