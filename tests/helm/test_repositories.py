"""helm's file of chart repositories, and charts from a repository."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from pellucid.helm.repositories import repositories_file
from tests.helm.command_line import Helm

HASHICORP = "https://helm.releases.hashicorp.com"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def repository(helm: Helm, tmp_path: Path) -> Iterator[str]:
    """A chart repository on loopback that has the shop's chart."""
    import helm_python

    archives = tmp_path / "archives"
    archives.mkdir()
    helm.ok("package", "shop", "-d", str(archives))
    helm_python.repo_index_generate(archives)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(archives)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HOME": "/home/a"}, "/home/a/.config/helm/repositories.yaml"),
        ({"HOME": "/home/a", "XDG_CONFIG_HOME": "/x"}, "/x/helm/repositories.yaml"),
        ({"HOME": "/home/a", "HELM_CONFIG_HOME": "/h"}, "/h/repositories.yaml"),
        ({"HELM_CONFIG_HOME": "/h", "HELM_REPOSITORY_CONFIG": "/r.yaml"}, "/r.yaml"),
    ],
)
def test_the_file_is_where_helm_has_it(environment: dict[str, str], expected: str) -> None:
    assert repositories_file(environment) == Path(expected)


def test_consuls_repository_is_recorded_without_asking_it(helm: Helm) -> None:
    added = helm.ok("repo", "add", "hashicorp", HASHICORP)
    assert added == '"hashicorp" has been added to your repositories\n'
    again = helm.ok("repo", "add", "hashicorp", HASHICORP)
    assert again == '"hashicorp" already exists with the same configuration, skipping\n'
    assert helm.ok("repo", "list").split() == ["NAME", "URL", "hashicorp", HASHICORP]
    assert "program's own" in helm.ok("repo", "update")
    assert helm.ok("repo", "remove", "hashicorp") == '"hashicorp" has been removed from your repositories\n'
    assert helm.failing("repo", "list") == "Error: no repositories to show\n"


def test_a_name_is_not_given_to_another_repository_unless_told(helm: Helm, repository: str) -> None:
    helm.ok("repo", "add", "mine", repository)
    taken = "Error: repository name (mine) already exists, please specify a different name\n"
    assert helm.failing("repo", "add", "mine", HASHICORP) == taken
    helm.ok("repo", "add", "mine", HASHICORP, "--force-update")
    assert helm("repo", "list", "-o", "json").json() == [{"name": "mine", "url": HASHICORP}]


def test_what_is_no_repository_is_not_recorded(helm: Helm, repository: str) -> None:
    assert "is not a valid chart repository" in helm.failing("repo", "add", "mine", f"{repository}/none")
    helm.failing("repo", "list")
    assert helm.failing("repo", "remove", "mine") == 'Error: no repo named "mine" found\n'
    assert "contains '/'" in helm.failing("repo", "add", "a/b", HASHICORP)


def test_what_another_helm_wrote_is_kept(helm: Helm, tmp_path: Path) -> None:
    file = tmp_path / "helm" / "repositories.yaml"
    file.parent.mkdir()
    entry = {"name": "theirs", "url": "https://charts.example.com", "username": "user", "password": "p"}
    file.write_text(yaml.safe_dump({"apiVersion": "", "repositories": [entry]}))
    helm.ok("repo", "add", "hashicorp", HASHICORP)
    assert yaml.safe_load(file.read_text())["repositories"][0] == entry
    assert file.stat().st_mode & 0o077 == 0


def test_a_broken_file_is_named(helm: Helm, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("repositories: [{name: x}]")
    complaint = helm.failing("repo", "list", "--repository-config", str(broken))
    assert (
        complaint == f"Error: couldn't load repositories file ({broken}): an entry without a name or a url\n"
    )


def test_charts_come_from_a_repository(helm: Helm, repository: str) -> None:
    helm.ok("repo", "add", "mine", repository)
    assert "Successfully got an update" in helm.ok("repo", "update")
    for words in (["mine/shop"], ["mine/shop", "--version", "0.2.0"], ["shop", "--repo", repository]):
        assert "version: 0.2.0" in helm.ok("show", "chart", *words)
    missing = helm.failing("show", "chart", "mine/other")
    assert missing == f'Error: chart "other" not found in {repository} repository\n'
    missing = helm.failing("show", "chart", "mine/shop", "--version", "9.9.9")
    assert missing == f'Error: chart "shop" version "9.9.9" not found in {repository} repository\n'


def test_a_name_that_the_user_gave_another_repository_is_the_users(helm: Helm, repository: str) -> None:
    helm.ok("repo", "add", "hashicorp", repository)
    missing = helm.failing("show", "chart", "hashicorp/consul")
    assert missing == f'Error: chart "consul" not found in {repository} repository\n'
