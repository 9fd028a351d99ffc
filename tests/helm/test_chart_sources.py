"""From what a command line calls a chart to the chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pellucid.helm.chart_sources import FLAGS, STAND_INS, Chart, ChartNotFound, located_chart
from pellucid.helm.flags import UsageError, parse
from pellucid.helm.repositories import Repository

HASHICORP = Repository("hashicorp", "https://helm.releases.hashicorp.com/")
CONSUL = "hashicorp/consul"


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    (tmp_path / "pellucid").mkdir()
    (tmp_path / "pellucid" / "Chart.yaml").write_text("name: pellucid\n")
    return tmp_path


def locate(reference: str, charts: Path, *words: str, known: tuple[Repository, ...] = ()) -> Chart:
    said, _ = parse(FLAGS, words)
    with located_chart(reference, said, known, charts) as chart:
        return chart


def test_a_path_is_taken_as_it_is(charts: Path) -> None:
    assert locate(str(charts / "pellucid"), charts, "--version", "9.9.9") == Chart(charts / "pellucid")


@pytest.mark.parametrize("known", [(), (HASHICORP,)])
def test_consuls_chart_is_this_projects_own(charts: Path, known: tuple[Repository, ...]) -> None:
    chart = locate(CONSUL, charts, "--version", "0.31.0", known=known)
    assert (chart.path, chart.asked_version) == (charts / "pellucid", "0.31.0")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"global": {"chartVersion": "0.31.0"}}),
        ({"global": {"name": "x"}}, {"global": {"chartVersion": "0.31.0", "name": "x"}}),
        ({"global": {"chartVersion": "0.32.1"}}, {"global": {"chartVersion": "0.32.1"}}),
        ({"global": "?"}, {"global": "?"}),
    ],
)
def test_the_chart_is_told_the_version_that_was_asked_for(
    charts: Path, values: dict[str, Any], expected: dict[str, Any]
) -> None:
    chart = locate(CONSUL, charts, "--version", "0.31.0")
    assert chart.with_asked_version(values) == expected
    assert locate(CONSUL, charts).with_asked_version(values) == values
    assert Chart(charts).with_asked_version(values) == values


@pytest.mark.parametrize("version", ["0.31.0", "v0.31.0", "0.32.1", "0.49.8", "0.32.0-beta1"])
def test_versions_of_the_chart_it_stands_in_for_are_taken(charts: Path, version: str) -> None:
    assert locate(CONSUL, charts, "--version", version).asked_version == version.removeprefix("v")


@pytest.mark.parametrize("version", ["0.30.0", "1.0.0", "1.9.3"])
def test_other_versions_are_refused(charts: Path, version: str) -> None:
    with pytest.raises(ChartNotFound, match=rf"from 0\.31\.0 to below 1\.0\.0: --version {version} is not"):
        locate(CONSUL, charts, "--version", version)


def test_a_range_of_versions_is_refused(charts: Path) -> None:
    with pytest.raises(UsageError, match=r"--version \^0\.31: hashicorp/consul needs an exact one"):
        locate(CONSUL, charts, "--version", "^0.31")


def test_a_missing_chart_of_our_own_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ChartNotFound, match=f"but it is not at {tmp_path}/pellucid"):
        locate(CONSUL, tmp_path)


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("./nowhere", 'path "./nowhere" not found'),
        ("other/chart", "repo other not found"),
        ("chart", "non-absolute URLs should be in form of repo_name/path_to_chart, got: chart"),
    ],
)
def test_what_cannot_be_found_is_said_in_helms_words(charts: Path, reference: str, complaint: str) -> None:
    with pytest.raises(ChartNotFound) as refused:
        locate(reference, charts)
    assert str(refused.value) == complaint


def test_every_stand_in_names_a_repository_and_a_chart() -> None:
    for name, stand_in in STAND_INS.items():
        assert name.count("/") == 1
        assert stand_in.repository.startswith("https://")
        assert stand_in.lowest < stand_in.below
