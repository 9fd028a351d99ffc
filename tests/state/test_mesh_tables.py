"""The mesh's tables: every row comes back from disk as it went, found by what it should be found by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pellucid.model.checks import CheckDefinition, HealthCheck
from pellucid.model.config_entries import decode_config_entry
from pellucid.model.identity import CaConfiguration, CaRoot, VirtualAddress, WorkloadCredential
from pellucid.model.kv import KvEntry
from pellucid.model.services import Node, Proxy, Service, ServiceKind
from pellucid.state.log import Log
from pellucid.state.mesh_tables import (
    CA_CONFIGURATION,
    CA_ROOTS,
    CHECK_DEFINITIONS,
    CHECKS,
    CONFIG_ENTRIES,
    CREDENTIALS,
    KV,
    MESH_TABLES,
    NODES,
    SERVER_AUTHORITY,
    SERVICES,
    VIRTUAL_ADDRESSES,
)
from pellucid.state.snapshot import Snapshot
from pellucid.state.sqlite import SqliteEngine
from pellucid.state.tables import Put, Table

WEB = Service("n1", "web-1", "Web", tags=("v1",), port=80, address="10.0.0.1", meta={"a": "b"})
WEB_PROXY = Service(
    "n1",
    "web-1-proxy",
    "web-proxy",
    ServiceKind.CONNECT_PROXY,
    proxy=Proxy("Web", "web-1", config={"x": [1]}),
)
DENY_ALL = {
    "Kind": "service-intentions",
    "Name": "web",
    "Sources": [{"Name": "api", "Action": "allow"}, {"Name": "*", "Action": "deny"}],
}

ROWS: list[tuple[Table[Any], Any]] = [
    (NODES, Node("n1", "127.0.0.1", meta={"rack": "7"})),
    (SERVICES, WEB),
    (SERVICES, WEB_PROXY),
    (CHECKS, HealthCheck("n1", "c1", service_id="web-1", service_name="Web", service_tags=("v1",))),
    (CHECK_DEFINITIONS, CheckDefinition("n1", "c1", header={"X": ("a", "b")}, script_args=("true",))),
    (CONFIG_ENTRIES, decode_config_entry(DENY_ALL)),
    (CA_ROOTS, CaRoot("aa:bb", "root", 2**63 - 1, "cc", "x.consul", 1, 2, "cert", "key", ("more",), True)),
    (CA_CONFIGURATION, CaConfiguration("id", config={"LeafCertTTL": "72h"})),
    (SERVER_AUTHORITY, CaRoot("cc:dd", "root", 1, "ee", "x.consul", 1, 2, "cert", "key")),
    (CREDENTIALS, WorkloadCredential("n1", "web-1-proxy", "ff" * 32)),
    (VIRTUAL_ADDRESSES, VirtualAddress("Web", 7)),
    (KV, KvEntry("a/b", b"\xff\x00", flags=2**64 - 1)),
]


def test_every_table_is_tried_here() -> None:
    assert {table.name for table, _ in ROWS} == {table.name for table in MESH_TABLES}
    assert len({table.name for table in MESH_TABLES}) == len(MESH_TABLES)


async def test_rows_of_every_table_survive_a_restart(tmp_path: Path) -> None:
    log = Log(SqliteEngine(tmp_path, MESH_TABLES))
    await log.commit([Put(table, row) for table, row in ROWS])
    before = log.snapshot()
    await log.close()
    log = Log(SqliteEngine(tmp_path, MESH_TABLES))
    for table in MESH_TABLES:
        assert log.snapshot().all(table) == before.all(table)
        for index in table.indexes:
            assert log.snapshot().values(table, index) == before.values(table, index)
    await log.close()


@pytest.mark.parametrize(
    ("table", "index", "value", "found"),
    [
        (SERVICES, "name", "Web", ["web-1"]),
        (SERVICES, "folded-name", "web", ["web-1"]),
        (SERVICES, "connect", "Web", ["web-1-proxy"]),
        (SERVICES, "folded-connect", "web", ["web-1-proxy"]),
        (SERVICES, "typical", "Web", ["web-1"]),
        (SERVICES, "typical", "web-proxy", []),
        (SERVICES, "kind", ServiceKind.CONNECT_PROXY, ["web-1-proxy"]),
        (SERVICES, "node", "n1", ["web-1", "web-1-proxy"]),
        (SERVICES, "id", "web-1", ["web-1"]),
        (SERVICES, "address", "10.0.0.1", ["web-1"]),
        (SERVICES, "address", "", []),
        (CHECKS, "instance", ("n1", "web-1"), ["c1"]),
        (CHECKS, "node-level", "n1", []),
        (CHECKS, "service", "Web", ["c1"]),
        (CONFIG_ENTRIES, "intention-source", "api", ["web"]),
        (CONFIG_ENTRIES, "intention-source", "*", ["web"]),
        (CONFIG_ENTRIES, "kind", "service-intentions", ["web"]),
        (VIRTUAL_ADDRESSES, "number", 7, ["Web"]),
    ],
)
def test_rows_are_found_by(table: Table[Any], index: str, value: Any, found: list[str]) -> None:
    state, _ = Snapshot().apply([Put(of, row) for of, row in ROWS])
    assert [table.key(stored.value)[-1] for stored in state.rows(table, index, value)] == found


def test_a_root_does_not_show_its_private_key() -> None:
    root = next(row for _, row in ROWS if isinstance(row, CaRoot))
    assert "key" not in repr(root)
