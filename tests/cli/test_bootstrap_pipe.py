"""A secret text reaches one reader, and nothing of it stays."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.cli import bootstrap_pipe

Offer = Callable[[str], tuple[Path, Callable[[], None]]]


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Offers a text below `tmp_path`; returns the pipe, and a function that waits for the writer's end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def offered(text: str) -> tuple[Path, Callable[[], None]]:
        # The writer is not our child; that it has ended shows in its copy of this pipe being closed.
        watched, held = os.pipe()
        path = bootstrap_pipe.offer(text, "bootstrap.json")
        os.close(held)

        def wait() -> None:
            assert os.read(watched, 1) == b""
            os.close(watched)

        return Path(path), wait

    return offered


def test_the_first_reader_gets_the_text_and_nothing_stays(offer: Offer, tmp_path: Path) -> None:
    pipe, wait = offer("s3cret" * 20_000)
    assert pipe.read_text() == "s3cret" * 20_000
    wait()
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_can_read_it(offer: Offer) -> None:
    pipe, wait = offer("s3cret")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert stat.S_IMODE(pipe.stat().st_mode) == 0o600
    assert stat.S_IMODE(pipe.parent.stat().st_mode) == 0o700
    pipe.read_text()
    wait()


def test_without_a_reader_it_is_withdrawn(
    offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap_pipe, "LIFETIME_S", 0.01)
    _, wait = offer("s3cret")
    wait()
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_leaves_nothing_either(offer: Offer, tmp_path: Path) -> None:
    pipe, wait = offer("s3cret" * 20_000)
    with pipe.open() as reader:
        reader.read(1)
    wait()
    assert list(tmp_path.iterdir()) == []
