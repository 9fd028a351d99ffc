import json
import os
from pathlib import Path

import pytest

from pellucid.localkube.images.image import ImageNotAvailable
from pellucid.localkube.images.image_entries import InvalidImageTable
from pellucid.localkube.images.image_table import ImageTable
from pellucid.localkube.images.reference import InvalidImageName, parse_reference


def test_a_short_name_is_docker_hub_s_library_at_latest() -> None:
    assert str(parse_reference("busybox")) == "docker.io/library/busybox:latest"


def test_a_registry_with_a_port_is_no_tag() -> None:
    reference = parse_reference("localhost:5000/team/app")
    assert (reference.registry, reference.repository, reference.tag) == (
        "localhost:5000",
        "team/app",
        "latest",
    )


@pytest.mark.parametrize("text", ["", "UPPER", "a//b", "a:b c", "a@sha256:12"])
def test_what_is_no_reference_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(InvalidImageName) as caught:
        parse_reference(text)
    assert f'"{text}"' in str(caught.value)


@pytest.mark.parametrize(
    "name", ["busybox", "busybox:1.36", "docker.io/library/busybox", "freddygv/hello-client:v0.2.4"]
)
def test_built_in_images_are_found_under_any_registry_and_tag(tmp_path: Path, name: str) -> None:
    image = ImageTable(tmp_path).find(name)
    assert image.entrypoint + image.command


def test_an_unknown_image_says_its_full_name_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ImageNotAvailable) as caught:
        ImageTable(tmp_path).find("acme/app:1")
    assert "docker.io/acme/app:1" in str(caught.value)
    assert "file of images" in str(caught.value)


def test_the_file_adds_images_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    more = tmp_path / "images.json"
    table = ImageTable(tmp_path / "roots", more)
    more.write_text(json.dumps([{"name": "acme/app:1", "command": ["one"]}]))
    assert table.find("acme/app:1").command == ("one",)
    with pytest.raises(ImageNotAvailable):
        table.find("acme/app:2")
    more.write_text(json.dumps([{"name": "acme/app", "command": ["two"]}]))
    os.utime(more, ns=(1, 1))
    assert table.find("acme/app:2").command == ("two",)


def test_an_unknown_field_of_the_file_is_named(tmp_path: Path) -> None:
    more = tmp_path / "images.json"
    more.write_text('[{"name": "a", "entrypont": []}]')
    with pytest.raises(InvalidImageTable, match="entrypont"):
        ImageTable(tmp_path / "roots", more).find("a")


def test_the_root_holds_no_password_and_no_key_of_this_machine(tmp_path: Path) -> None:
    base = Path(ImageTable(tmp_path).find("busybox").base)
    names = {path.name for path in (base / "etc").rglob("*")}
    assert not names & {"shadow", "gshadow", "ssh", "private", "sudoers"}
    assert list((base / "root").iterdir()) == list((base / "home").iterdir()) == []
