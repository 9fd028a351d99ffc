import io
import json
import os
import stat
import tarfile
from pathlib import Path

import pytest

from pellucid.localkube.images.archive import InvalidArchive, load_archive
from pellucid.localkube.images.image import Image
from pellucid.localkube.images.image_table import ImageTable

pytestmark = pytest.mark.root
CONFIGURATION = {"config": {"Entrypoint": ["/bin/app"], "Cmd": ["-v"], "Env": ["A=b"], "User": "7"}}


def packed(files: dict[str, bytes | tuple[str, str]]) -> bytes:
    """A tar of files, of links (`("link", target)`) and of folders (names that end in `/`)."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.mode = 0o755
            if isinstance(content, tuple):
                entry.type, entry.linkname = tarfile.SYMTYPE, content[1]
                archive.addfile(entry)
            elif name.endswith("/"):
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def saved(path: Path, *layers: dict[str, bytes | tuple[str, str]], name: str = "acme/app:1") -> Path:
    """What `docker save` writes."""
    members: dict[str, bytes | tuple[str, str]] = {f"{n}.tar": packed(one) for n, one in enumerate(layers)}
    manifest = [{"Config": "c.json", "RepoTags": [name], "Layers": list(members)}]
    members |= {"c.json": json.dumps(CONFIGURATION).encode(), "manifest.json": json.dumps(manifest).encode()}
    path.write_bytes(packed(members))
    return path


def loaded(tmp_path: Path, *layers: dict[str, bytes | tuple[str, str]]) -> Image:
    images = tmp_path / "images"
    images.mkdir()
    assert load_archive(saved(tmp_path / "a.tar", *layers), images) == ("docker.io/acme/app:1",)
    return ImageTable(images).find("acme/app:1")


def test_a_loaded_image_is_found_with_its_command(tmp_path: Path) -> None:
    image = loaded(tmp_path, {"bin/": b"", "bin/app": b"x"})
    assert (image.entrypoint, image.command, image.user) == (("/bin/app",), ("-v",), "7")
    assert image.environment["A"] == "b"
    assert (Path(image.layers["bin"][0]) / "app").read_bytes() == b"x"


def test_layers_are_laid_over_one_another_lowest_first(tmp_path: Path) -> None:
    image = loaded(tmp_path, {"usr/": b"", "usr/a": b"1"}, {"usr/": b"", "usr/a": b"2"})
    assert [(Path(layer) / "a").read_bytes() for layer in image.layers["usr"]] == [b"1", b"2"]


def test_a_deleted_file_becomes_what_overlays_take_for_one(tmp_path: Path) -> None:
    image = loaded(tmp_path, {"usr/": b"", "usr/a": b"1"}, {"usr/": b"", "usr/.wh.a": b""})
    mark = (Path(image.layers["usr"][1]) / "a").stat()
    assert stat.S_ISCHR(mark.st_mode)
    assert mark.st_rdev == os.makedev(0, 0)


def test_a_folder_deleted_at_the_top_is_gone(tmp_path: Path) -> None:
    image = loaded(tmp_path, {"old/": b"", "old/a": b"1"}, {".wh.old": b""})
    assert "old" not in image.layers
    assert not (Path(image.base) / "old").exists()


def test_links_at_the_top_stay_links(tmp_path: Path) -> None:
    image = loaded(tmp_path, {"usr/": b"", "bin": ("link", "usr/bin")})
    assert os.readlink(Path(image.base) / "bin") == "usr/bin"


def test_a_packed_oci_layout_is_read_too(tmp_path: Path) -> None:
    index = {"manifests": [{"digest": "sha256:m", "annotations": {"io.containerd.image.name": "acme/oci:2"}}]}
    manifest = {"config": {"digest": "sha256:c"}, "layers": [{"digest": "sha256:l"}]}
    archive = tmp_path / "a.tar"
    archive.write_bytes(
        packed(
            {
                "index.json": json.dumps(index).encode(),
                "blobs/sha256/m": json.dumps(manifest).encode(),
                "blobs/sha256/c": json.dumps(CONFIGURATION).encode(),
                "blobs/sha256/l": packed({"bin/": b"", "bin/app": b"x"}),
            }
        )
    )
    images = tmp_path / "images"
    images.mkdir()
    assert load_archive(archive, images) == ("docker.io/acme/oci:2",)
    assert ImageTable(images).find("acme/oci:2").command == ("-v",)


@pytest.mark.parametrize("name", ["../escape", "usr/../../escape"])
def test_a_layer_cannot_write_outside_its_folder(tmp_path: Path, name: str) -> None:
    images = tmp_path / "images"
    images.mkdir()
    with pytest.raises(InvalidArchive):
        load_archive(saved(tmp_path / "a.tar", {name: b"x"}), images)
    assert not list(tmp_path.rglob("escape"))


def test_what_is_no_archive_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no")
    with pytest.raises(InvalidArchive, match=r"a\.tar"):
        load_archive(tmp_path / "a.tar", tmp_path)
