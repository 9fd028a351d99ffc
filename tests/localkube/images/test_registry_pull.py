"""Pulling from a registry: what is asked, what is checked, what is refused."""

from __future__ import annotations

import json
import os
import platform
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pellucid.localkube.images.image import Image
from pellucid.localkube.images.pull_credentials import PullCredentials
from pellucid.localkube.images.reference import parse_reference
from pellucid.localkube.images.registry_client import (
    NotInRegistry,
    RegistryClient,
    RegistryError,
    is_loopback,
)
from pellucid.localkube.images.registry_pull import pull_image, resolved_digest
from tests.localkube.images.registry import (
    DOCKER_MANIFEST,
    MANIFEST,
    PASSWORD,
    USER,
    Registry,
    digest_of,
    packed,
    served,
    tar_of,
)
from tests.self_signed import self_signed

pytestmark = pytest.mark.root
HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
LOWER = tar_of({"usr/": b"", "usr/a": b"1", "usr/gone": b"x", "tmp/": b""}, mode=0o777)
UPPER = tar_of({"usr/": b"", "usr/a": b"2", "usr/.wh.gone": b"", "app": b"run"})
SETTINGS = {"Entrypoint": ["/app"], "Cmd": ["-v"], "Env": ["A=b"], "User": "7", "WorkingDir": "/usr"}


@pytest.fixture
def registry() -> Iterator[Registry]:
    with served(Registry()) as made:
        yield made


def pulled(registry: Registry, directory: Path, name: str = "a:1", user: bool = False) -> Image:
    reference = parse_reference(f"{registry.address}/{name}")
    return pull_image(reference, client_of(registry, user), directory)[0]


def client_of(registry: Registry, user: bool = False) -> RegistryClient:
    credentials = PullCredentials(USER, PASSWORD) if user else None
    return RegistryClient(registry.address, plain=True, credentials=credentials)


@pytest.mark.parametrize("how", ["plain", "gzip", "zstd"])
def test_layers_are_unpacked_and_laid_over_one_another(registry: Registry, tmp_path: Path, how: str) -> None:
    digest = registry.add_image("a:1", packed(LOWER, how), packed(UPPER, how), settings=SETTINGS)
    image = pulled(registry, tmp_path)
    assert (image.entrypoint, image.command, image.user) == (("/app",), ("-v",), "7")
    assert (image.environment["A"], image.working_directory) == ("b", "/usr")
    assert image.digest == digest
    assert [(Path(layer) / "a").read_bytes() for layer in image.layers["usr"]] == [b"1", b"2"]
    assert stat.S_ISCHR((Path(image.layers["usr"][1]) / "gone").stat().st_mode)
    assert (Path(image.base) / "app").read_bytes() == b"run"


def test_permissions_are_those_of_the_layer(registry: Registry, tmp_path: Path) -> None:
    registry.add_image("a:1", LOWER)
    image = pulled(registry, tmp_path)
    assert stat.S_IMODE(os.stat(image.layers["tmp"][0]).st_mode) == 0o777


def test_of_several_platforms_this_machines_is_taken(registry: Registry, tmp_path: Path) -> None:
    other = registry.add_image("other:1", LOWER, settings={"Cmd": ["other"]})
    here = registry.add_image("here:1", LOWER, settings={"Cmd": ["here"]})
    for name, digest in (("other", other), ("here", here)):
        registry.manifests[f"a@{digest}"] = registry.manifests[f"{name}@{digest}"]
    listed = registry.add_index("a:1", {"s390x": other, HERE: here})
    image = pulled(registry, tmp_path)
    assert (image.command, image.digest) == (("here",), listed)


def test_without_an_image_for_this_machine_it_says_which_there_are(
    registry: Registry, tmp_path: Path
) -> None:
    registry.add_index("a:1", {"s390x": "sha256:" + "0" * 64})
    with pytest.raises(RegistryError, match=f"no match for platform.* linux/{HERE}.* linux/s390x"):
        pulled(registry, tmp_path)


def test_an_image_named_by_its_digest_is_that_one(registry: Registry, tmp_path: Path) -> None:
    digest = registry.add_image("a:1", LOWER, media_type=DOCKER_MANIFEST)
    registry.add_image("a:1", UPPER)
    assert pulled(registry, tmp_path, f"a@{digest}").digest == digest
    assert resolved_digest(parse_reference(f"{registry.address}/a:1"), client_of(registry)) != digest


def test_a_layer_that_is_here_already_is_not_asked_for_again(registry: Registry, tmp_path: Path) -> None:
    registry.add_image("a:1", LOWER)
    registry.add_image("b:1", LOWER, UPPER)
    pulled(registry, tmp_path, "a:1")
    pulled(registry, tmp_path, "b:1")
    layer = [path for path in registry.asked if path.endswith(digest_of(LOWER))]
    assert layer == [f"/v2/a/blobs/{digest_of(LOWER)}"]


@pytest.mark.parametrize("guard", ["bearer", "basic"])
def test_a_user_proves_who_they_are_as_the_registry_asks(
    registry: Registry, tmp_path: Path, guard: str
) -> None:
    registry.guard = guard
    registry.add_image("a:1", LOWER)
    with pytest.raises(RegistryError, match=r"failed to authorize|pull access denied") as refused:
        pulled(registry, tmp_path)
    assert PASSWORD not in str(refused.value)
    assert pulled(registry, tmp_path, user=True).digest


def test_anybody_gets_a_token_where_the_registry_gives_one_to_anybody(
    registry: Registry, tmp_path: Path
) -> None:
    registry.guard = "anonymous"
    registry.add_image("a:1", LOWER)
    assert pulled(registry, tmp_path).digest
    assert "/token?service=test&scope=repository%3Aa%3Apull" in registry.asked


def test_proof_is_not_shown_to_whom_the_registry_leads(registry: Registry, tmp_path: Path) -> None:
    registry.guard, registry.elsewhere = "bearer", True
    registry.add_image("a:1", LOWER)
    assert pulled(registry, tmp_path, user=True).digest
    far = [proof for path, proof in registry.shown if path.startswith("/far/")]
    assert far
    assert set(far) == {""}


def test_what_is_not_there_is_not_there(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(NotInRegistry, match="not found"):
        pulled(registry, tmp_path)


def test_a_layer_that_is_not_what_its_digest_says_is_refused(registry: Registry, tmp_path: Path) -> None:
    registry.add_image("a:1", LOWER)
    registry.blobs[digest_of(LOWER)] = LOWER.replace(b"usr/a", b"usr/b")
    with pytest.raises(RegistryError, match=f"failed to verify layer {digest_of(LOWER)}"):
        pulled(registry, tmp_path)
    assert not list((tmp_path / "layers").glob("*"))


def test_a_layer_longer_than_it_should_be_is_not_read_to_its_end(registry: Registry, tmp_path: Path) -> None:
    registry.add_image("a:1", LOWER)
    registry.blobs[digest_of(LOWER)] = LOWER + b"more"
    with pytest.raises(RegistryError, match=f"longer than the {len(LOWER)} bytes"):
        pulled(registry, tmp_path)


def test_a_manifest_that_is_not_what_its_digest_says_is_refused(registry: Registry, tmp_path: Path) -> None:
    digest = registry.add_image("a:1", LOWER)
    registry.manifests[f"a@{digest}"] = (MANIFEST, b"{}")
    with pytest.raises(RegistryError, match="failed to verify"):
        pulled(registry, tmp_path, f"a@{digest}")


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({"layers": []}, "no configuration and layers"),
        ({"config": {"digest": "sha256:../../x", "size": 1}, "layers": []}, "is no digest"),
        ({"config": {"digest": "md5:0", "size": 1}, "layers": []}, "is no digest"),
        ({"config": {}, "layers": [{"digest": "sha256:" + "0" * 64, "size": 10**12}]}, "at most are pulled"),
        ({"config": {}, "layers": [{"digest": "x", "size": "many"}]}, "'many' is no size"),
        ({"config": {}, "layers": [{"size": 0}] * 129}, "129 layers; 128 at most"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    registry: Registry, tmp_path: Path, manifest: dict[str, object], said: str
) -> None:
    registry.add_manifest("a:1", MANIFEST, manifest)
    with pytest.raises(RegistryError, match=said):
        pulled(registry, tmp_path)


def test_a_layer_that_leads_outside_is_refused(registry: Registry, tmp_path: Path) -> None:
    registry.add_image("a:1", tar_of({"../../escape": b"x"}))
    images = tmp_path / "images"
    images.mkdir()
    with pytest.raises(RegistryError, match="failed to extract layer"):
        pulled(registry, images)
    assert not list(tmp_path.rglob("escape"))


def test_a_registry_that_does_not_answer_is_told_with_the_reason(tmp_path: Path) -> None:
    client = RegistryClient("127.0.0.1:1", plain=True)
    with pytest.raises(RegistryError, match=r'Get "http://127.0.0.1:1/v2/a/manifests/1": Connection refused'):
        pull_image(parse_reference("127.0.0.1:1/a:1"), client, tmp_path)


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[Registry, ssl.SSLContext]]:
    """A registry by HTTPS, and the trust in its certificate."""
    pair = self_signed("127.0.0.1")
    with served(Registry(), tls=pair.serving(tmp_path)) as made:
        yield made, ssl.create_default_context(cadata=pair.certificate.decode())


def test_a_registry_by_https_is_believed_only_with_a_certificate_that_is_trusted(
    secured: tuple[Registry, ssl.SSLContext], tmp_path: Path
) -> None:
    registry, trust = secured
    registry.add_image("a:1", LOWER)
    reference = parse_reference(f"{registry.address}/a:1")
    trusting = RegistryClient(registry.address, plain=False, trust=trust)
    assert pull_image(reference, trusting, tmp_path)[0].digest
    with pytest.raises(RegistryError, match="certificate verify failed"):
        resolved_digest(reference, RegistryClient(registry.address, plain=False))


def test_a_registry_by_https_may_not_lead_to_http(
    secured: tuple[Registry, ssl.SSLContext], tmp_path: Path
) -> None:
    registry, trust = secured
    registry.add_image("a:1", LOWER)
    registry.elsewhere = True
    client = RegistryClient(registry.address, plain=False, trust=trust)
    with pytest.raises(RegistryError, match=r'leads to "http://localhost:.*", which is not HTTPS'):
        pull_image(parse_reference(f"{registry.address}/a:1"), client, tmp_path)


@pytest.mark.parametrize(
    ("registry_name", "near"),
    [
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("[::1]:5000", True),
        ("docker.io", False),
        ("localhost.example:5000", False),
        ("10.0.0.1:5000", False),
    ],
)
def test_which_registries_are_on_this_machine(registry_name: str, near: bool) -> None:
    assert is_loopback(registry_name) == near


def test_the_settings_of_an_image_may_all_be_absent(registry: Registry, tmp_path: Path) -> None:
    manifest = {"config": registry.add_blob(json.dumps({}).encode()), "layers": []}
    registry.add_manifest("a:1", MANIFEST, manifest)
    image = pulled(registry, tmp_path)
    assert (image.entrypoint, image.command, image.user, image.working_directory) == ((), (), "", "/")
