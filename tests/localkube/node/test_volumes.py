import os
from pathlib import Path

import pytest

from pellucid.localkube.node.volume_files import File, VolumeError
from pellucid.localkube.node.volumes import container_mounts, hosts_file, resolver_file, write_files


def test_files_are_replaced_at_one_instant_and_old_ones_go(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": File(b"1", 0o644), "d/b": File(b"2", 0o600)}, None)
    first = os.readlink(tmp_path / "..data")
    write_files(tmp_path, {"a": File(b"3", 0o644)}, None)
    assert (tmp_path / "a").read_bytes() == b"3"
    assert not (tmp_path / "d").exists()
    assert os.readlink(tmp_path / "..data") != first
    assert len(list(tmp_path.glob("..v*"))) == 1


def test_equal_files_are_left_alone(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": File(b"1", 0o644)}, None)
    first = os.readlink(tmp_path / "..data")
    write_files(tmp_path, {"a": File(b"1", 0o644)}, None)
    assert os.readlink(tmp_path / "..data") == first


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x"])
def test_a_path_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(VolumeError, match="relative"):
        write_files(tmp_path / "v", {name: File(b"", 0o644)}, None)


def test_a_sub_path_that_leads_outside_its_volume_is_refused(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    (volume / "out").symlink_to("/etc")
    for inner in ("../x", "/etc", "out"):
        mount = {"name": "v", "mountPath": "/m", "subPath": inner}
        with pytest.raises(VolumeError):
            container_mounts({"volumeMounts": [mount]}, {"v": volume}, {})


def test_outer_mounts_come_first(tmp_path: Path) -> None:
    wanted = [{"name": "v", "mountPath": "/a/b"}, {"name": "v", "mountPath": "/a"}]
    mounts = container_mounts({"volumeMounts": wanted}, {"v": tmp_path}, {})
    assert [mount.destination for mount in mounts] == ["/a", "/a/b"]


def test_names_are_searched_in_the_pod_s_namespace_first() -> None:
    pod = {"metadata": {"name": "p", "namespace": "d"}, "spec": {}}
    assert resolver_file(pod, "10.96.0.10", "machine\n").splitlines() == [
        "search d.svc.cluster.local svc.cluster.local cluster.local",
        "nameserver 10.96.0.10",
        "options ndots:5",
    ]


def test_a_pod_may_have_a_resolver_of_its_own_or_the_machine_s() -> None:
    own = {"nameservers": ["1.2.3.4"], "options": [{"name": "ndots", "value": "2"}]}
    pod = {"metadata": {"name": "p", "namespace": "d"}, "spec": {"dnsPolicy": "None", "dnsConfig": own}}
    assert resolver_file(pod, "10.96.0.10", "") == "nameserver 1.2.3.4\noptions ndots:2\n"
    pod["spec"] = {"dnsPolicy": "Default"}
    assert resolver_file(pod, "10.96.0.10", "machine\n") == "machine\n"


def test_a_pod_with_a_subdomain_knows_its_full_name() -> None:
    pod = {"metadata": {"name": "p", "namespace": "d"}, "spec": {"subdomain": "s", "hostAliases": [
        {"ip": "9.9.9.9", "hostnames": ["a", "b"]}]}}  # fmt: skip
    lines = hosts_file(pod, ("10.244.0.2",)).splitlines()
    assert "10.244.0.2\tp.s.d.svc.cluster.local\tp" in lines
    assert lines[-1] == "9.9.9.9\ta\tb"
