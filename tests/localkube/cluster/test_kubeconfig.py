"""A cluster's context enters and leaves the user's kubeconfig, whose other entries stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pellucid.localkube.cluster.definition import ClusterError
from pellucid.localkube.cluster.kubeconfig import (
    add_to_user,
    merged,
    remove_from_user,
    user_kubeconfig_paths,
    without,
)

Config = dict[str, Any]


def config(name: str, server: str = "https://127.0.0.1:1") -> Config:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": {"token": "t"}}],
        "current-context": name,
        "preferences": {},
    }


def test_merging_keeps_other_entries_and_makes_the_added_context_current() -> None:
    both = merged(config("work"), config("kind-a"))
    assert [entry["name"] for entry in both["contexts"]] == ["work", "kind-a"]
    assert both["current-context"] == "kind-a"


def test_merging_replaces_entries_of_the_same_name() -> None:
    again = merged(config("kind-a", "https://old"), config("kind-a", "https://new"))
    assert [entry["cluster"]["server"] for entry in again["clusters"]] == ["https://new"]


def test_taking_out_what_was_merged_in_leaves_the_others() -> None:
    left = without(merged(config("work"), config("kind-a")), "kind-a")
    assert {key: left[key] for key in ("clusters", "contexts", "users")} == {
        key: config("work")[key] for key in ("clusters", "contexts", "users")
    }
    assert left["current-context"] == ""


def test_another_current_context_stays_current() -> None:
    both = merged(merged({}, config("kind-a")), config("work"))
    assert without(both, "kind-a")["current-context"] == "work"


def test_it_is_written_to_the_first_file_of_kubeconfig_that_exists(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    second.write_text(yaml.safe_dump(config("work")))
    environment = {"KUBECONFIG": f"{first}:{second}"}
    assert add_to_user(config("kind-a"), environment) == second
    assert not first.exists()
    remove_from_user("kind-a", environment)
    assert yaml.safe_load(second.read_text())["contexts"] == config("work")["contexts"]


def test_without_kubeconfig_it_is_in_the_home_directory(tmp_path: Path) -> None:
    assert user_kubeconfig_paths({"HOME": str(tmp_path)}) == (tmp_path / ".kube" / "config",)
    path = add_to_user(config("kind-a"), {"HOME": str(tmp_path)})
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_not_a_kubeconfig_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("contexts: [unclosed")
    with pytest.raises(ClusterError, match="not YAML"):
        add_to_user(config("kind-a"), {"KUBECONFIG": str(path)})
    assert path.read_text() == "contexts: [unclosed"
