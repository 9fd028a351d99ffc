"""Which room may import which: the doors of docs/architecture.md, held."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "pellucid"

SERVER_ROOMS = {
    "model",
    "state",
    "rules",
    "identity",
    "acl",
    "derive",
    "xds",
    "dns",
    "explain",
    "api",
    "health",
}
LOG = {"state.log", "state.snapshot", "state.sqlite", "state.tables"}
"""The part of `state` that knows nothing of meshes."""

FOUNDATION = "foundation"
"""Any room may import it."""

DOORS: dict[str, set[str]] = {
    FOUNDATION: set(),
    "model": set(),
    "state": {"model"},
    "rules": {"model"},
    "identity": {"model"},
    "acl": {"model", "state"},
    "derive": {"model", "state", "rules", "identity"},
    "xds": {"model", "derive", "rules"},
    "dns": {"model", "derive", "rules"},
    "explain": {"model", "derive", "rules"},
    "api": {"model", "state", "derive", "acl", "explain", "rules", "identity", "ui"},
    "health": {"model"},
    "dataplane": {"model"},
    "kube": {"model", "dataplane"},
    "localkube": LOG,
    "helm": set(),
    "ui": set(),
    "agent": SERVER_ROOMS | {"health", "ui"},
    "demo": {"model", "dataplane"},
    "cli": SERVER_ROOMS | {"health", "agent", "dataplane", "kube", "localkube", "helm", "ui", "demo"},
    "__main__": {"cli"},
}
"""Room -> the rooms, or modules, it may import. Its own are always open to it."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module of ours imported anywhere below `tree`, without the package's own name."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                imported = [alias.name for alias in names]
            case ast.ImportFrom(module, names, 0) if module == "pellucid":
                imported = [f"pellucid.{alias.name}" for alias in names if alias.name != "__version__"]
            case ast.ImportFrom(module, _, 0) if module is not None:
                imported = [module]
            case _:
                continue
        yield from (name.removeprefix("pellucid.") for name in imported if name.startswith("pellucid."))


def may_import(room: str, module: str) -> bool:
    return any(
        module == open_to or module.startswith(f"{open_to}.") for open_to in DOORS[room] | {room, FOUNDATION}
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_a_module_imports_only_through_its_rooms_doors(module: Path) -> None:
    room = room_of(module)
    if room != "__init__":
        refused = {name for name in imports(ast.parse(module.read_text())) if not may_import(room, name)}
        assert refused == set(), f"{room} may import {sorted(DOORS[room])}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_imports_of_ours_are_written_in_full(module: Path) -> None:
    relative = [
        n for n in ast.walk(ast.parse(module.read_text())) if isinstance(n, ast.ImportFrom) and n.level
    ]
    assert relative == []


def imported_at_once(module: str) -> set[str]:
    """What importing a module of ours imports of ours, all the way, without calling anything."""
    reached: set[str] = set()
    waiting = {module}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        path = PACKAGE.joinpath(*name.split("."))
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        at_once = [
            n for n in ast.parse(source.read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)
        ]
        waiting |= {found for node in at_once for found in imports(node)} - reached
    return reached


@pytest.mark.parametrize(
    "module",
    ["cli", *(f"cli.commands.{m.stem}" for m in sorted((PACKAGE / "cli" / "commands").glob("[!_]*.py")))],
)
def test_the_command_line_imports_other_rooms_only_when_a_command_runs(module: str) -> None:
    assert {name for name in imported_at_once(module) if name.split(".")[0] != "cli"} == set()


def test_every_room_has_its_doors_listed() -> None:
    rooms = {room_of(module) for module in MODULES} - {"__init__"}
    assert rooms <= DOORS.keys()


def test_what_is_in_the_foundation_carries_several_rooms() -> None:
    """A piece that one room alone needs belongs into that room."""
    carried: dict[str, set[str]] = {
        f"{FOUNDATION}.{module.stem}": set() for module in (PACKAGE / FOUNDATION).glob("[!_]*.py")
    }
    for module in MODULES:
        for name in carried.keys() & set(imports(ast.parse(module.read_text()))):
            carried[name].add(room_of(module))
    assert {name for name, rooms in carried.items() if len(rooms - {FOUNDATION}) < 2} == set()
