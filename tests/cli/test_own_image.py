"""The image of this very program: what it shows of the machine, and that it runs for any user."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid import __version__
from pellucid.cli.own_image import outermost, own_image, this_program
from pellucid.localkube.images.image_entries import write_image_entries
from pellucid.localkube.images.image_table import ImageTable
from tests.localkube.node.one_node import Node, api_objects, kubelet_on, own_network

HARDENED = {
    "runAsUser": 5995,
    "runAsGroup": 5995,
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}


def test_what_lies_in_another_directory_or_in_every_image_is_not_shown_twice() -> None:
    roots = [Path("/srv/app/.venv"), Path("/srv/app"), Path("/usr"), Path("/usr/local/python")]
    assert outermost(roots) == (Path("/srv/app"),)


def test_a_directory_reached_by_a_link_is_shown_at_both_its_places(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert outermost([tmp_path / "link"]) == (tmp_path / "link", tmp_path / "real")


def test_commands_of_this_program_come_before_the_machines_own() -> None:
    image = own_image(Path("/srv/src/pellucid"), [Path("/srv/app")], Path("/srv/app/bin"))
    assert image.entrypoint == ("pellucid",)
    assert image.environment["PATH"].startswith("/srv/app/bin:")
    shown = {(bind.source, bind.destination) for bind in image.binds}
    assert shown > {("/srv/app", "/srv/app"), ("/srv/src/pellucid", "/srv/src/pellucid")}


def test_a_checkout_is_imported_from_where_it_is_and_an_installed_program_from_its_python() -> None:
    checkout = own_image(Path("/srv/src/pellucid"), [Path("/srv/app")], Path("/srv/app/bin"))
    installed = own_image(Path("/srv/app/lib/pellucid"), [Path("/srv/app")], Path("/srv/app/bin"))
    assert checkout.environment["PYTHONPATH"] == "/srv/src"
    assert "PYTHONPATH" not in installed.environment


@pytest.mark.root
@pytest.mark.parametrize("context", [HARDENED, {"runAsUser": 100}], ids=["hardened", "another user"])
async def test_the_program_that_runs_here_runs_in_a_pod(tmp_path: Path, context: dict[str, object]) -> None:
    write_image_entries(tmp_path / "images.json", [this_program()])
    async with own_network(), kubelet_on(await api_objects(), tmp_path) as node:
        for name, command in (
            ("entrypoint", {"args": ["version"]}),
            ("link", {"command": ["consul", "version"]}),
        ):
            container = {"name": "c", "image": f"pellucid/pellucid:{__version__}", "securityContext": context}
            await node.create(name, container | command, restartPolicy="Never")
        assert (await said(node, "entrypoint")).startswith(f"pellucid v{__version__}")
        assert (await said(node, "link")).startswith("Consul v")


async def said(node: Node, name: str) -> str:
    """What a pod's container wrote before it ended well."""
    return await node.log(await node.until_phase(name, "Succeeded"))


def test_every_tag_of_its_name_is_this_program(tmp_path: Path) -> None:
    write_image_entries(tmp_path / "images.json", [this_program()])
    table = ImageTable(tmp_path / "roots", tmp_path / "images.json")
    assert table.find("pellucid/pellucid").id == table.find("docker.io/pellucid/pellucid:9.9").id
