"""Images saved by a container engine of this machine. A script stands in for the engine, which CI has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.localkube.images.container_engine import EngineFailed, saved_images


def engine(directory: Path, name: str, script: str) -> None:
    program = directory / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_docker_saves_all_images_to_one_archive_which_is_gone_afterwards(tmp_path: Path) -> None:
    engine(tmp_path, "docker", '[ "$1 $2" = "save -o" ] && file=$3 && shift 3 && echo "$@" > "$file"')
    with saved_images(["acme/app:1", "acme/db:2"], {"PATH": f"{tmp_path}:/usr/bin:/bin"}) as archive:
        assert archive.read_text() == "acme/app:1 acme/db:2\n"
    assert not archive.exists()


def test_podman_is_asked_where_docker_fails(tmp_path: Path) -> None:
    engine(tmp_path, "docker", "echo Cannot connect to the Docker daemon >&2; exit 1")
    engine(tmp_path, "podman", 'echo "$@" > "$5"; exit 0')
    with saved_images(["acme/app:1"], {"PATH": f"{tmp_path}:/usr/bin:/bin"}) as archive:
        assert archive.read_text().startswith("save --format=docker-archive -m -o ")


def test_what_the_engine_says_is_passed_on(tmp_path: Path) -> None:
    engine(tmp_path, "docker", 'echo "No such image: acme/app:1" >&2; exit 1')
    with (
        pytest.raises(EngineFailed, match="cannot save acme/app:1: docker: No such image"),
        saved_images(["acme/app:1"], {"PATH": f"{tmp_path}:/usr/bin:/bin"}),
    ):
        pytest.fail("there is no archive")


def test_without_an_engine_it_says_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(EngineFailed, match=r"docker save -o FILE acme/app:1"),
        saved_images(["acme/app:1"], {"PATH": str(tmp_path)}),
    ):
        pytest.fail("there is no archive")
