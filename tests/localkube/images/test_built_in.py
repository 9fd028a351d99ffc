"""The images every cluster has, made from what this machine has."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pellucid.localkube.images.built_in import BUILT_IN, BuiltIn
from pellucid.localkube.images.image import ImageNotAvailable
from pellucid.localkube.images.image_entries import ImageEntry
from pellucid.localkube.images.image_table import ImageTable
from tests.localkube.node.one_node import api_objects, kubelet_on, own_network, shell

ALLOWED = [{"name": "POSTGRES_PASSWORD", "value": "secret"}, {"name": "POSTGRES_DB", "value": "shop"}]
SERVERS = [
    ("redis:7", "redis-server", {}, "redis-cli -h ADDRESS ping", "PONG"),
    ("nginx:1.25", "nginx", {}, "curl -sS -o /dev/null -w '%{http_code}' http://ADDRESS", "200"),
    (
        "postgres:15",
        "psql",
        {"env": ALLOWED},
        "PGPASSWORD=secret psql -h ADDRESS -U postgres -t -c 'select 6 * 7' shop",
        "42",
    ),
]


def test_what_the_machine_lacks_is_told_with_the_package_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = BuiltIn(ImageEntry("acme", command=("acme",)), "/usr/lib/acme/*/bin/acme", "acme-server")
    monkeypatch.setattr("pellucid.localkube.images.image_table.BUILT_IN", (absent,))
    with pytest.raises(ImageNotAvailable, match=r"/usr/lib/acme.* install Debian's acme-server"):
        ImageTable(tmp_path).find("acme:1")


def test_a_program_is_found_by_a_pattern_of_its_path(tmp_path: Path) -> None:
    entry = BuiltIn(ImageEntry("acme", command=("acme",)), "/usr/lib/acme/*/bin/acme", "acme-server")
    assert entry.lacks(tmp_path)
    (tmp_path / "usr/lib/acme/2/bin").mkdir(parents=True)
    (tmp_path / "usr/lib/acme/2/bin/acme").touch()
    assert not entry.lacks(tmp_path)


def test_each_has_a_command_and_a_name_of_its_own() -> None:
    assert all(one.entry.entrypoint + one.entry.command for one in BUILT_IN)
    assert len({one.entry.name for one in BUILT_IN}) == len(BUILT_IN)


@pytest.mark.root
@pytest.mark.parametrize(
    ("image", "program", "more", "ask", "said"), SERVERS, ids=[one[1] for one in SERVERS]
)
async def test_a_server_answers_other_pods(
    tmp_path: Path, image: str, program: str, more: dict[str, Any], ask: str, said: str
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"this machine has no {program}")
    async with own_network(), kubelet_on(await api_objects(), tmp_path) as node:
        await node.create("server", {"name": "c", "image": image, **more})
        server = await node.until_phase("server", "Running")
        words = ask.replace("ADDRESS", server["status"]["podIP"])
        patient = f"for n in $(seq 50); do {words} && exit; sleep 0.2; done; exit 1"
        await node.create("client", shell(patient), restartPolicy="Never")
        assert said in await node.log(await node.until_phase("client", "Succeeded"))


@pytest.mark.root
@pytest.mark.skipif(shutil.which("psql") is None, reason="this machine has no PostgreSQL")
async def test_a_database_without_a_password_does_not_start(tmp_path: Path) -> None:
    async with own_network(), kubelet_on(await api_objects(), tmp_path) as node:
        await node.create("open", {"name": "c", "image": "postgres"}, restartPolicy="Never")
        assert "set POSTGRES_PASSWORD" in await node.log(await node.until_phase("open", "Failed"))
