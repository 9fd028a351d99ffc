"""Pulls an image from a registry: which manifest, which layers, each checked against its digest. Blocks.

Source: OCI distribution specification 1.1, "Pull"; OCI image specification 1.1, "Image Index" and "Image
Manifest"; Docker image manifest version 2, schema 2.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import platform
import re
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from pellucid.localkube.images.compression import DecompressionFailed, decompressed
from pellucid.localkube.images.image import Image
from pellucid.localkube.images.layers import InvalidLayer, layer_directory, unpack_layer
from pellucid.localkube.images.reference import ImageReference
from pellucid.localkube.images.registry_client import RegistryClient, RegistryError
from pellucid.localkube.images.stored_images import assembled_image

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le"}
_MOST_DOCUMENT_BYTES = 4 << 20
_MOST_PACKED_BYTES = 16 << 30
_MOST_LAYERS = 128
_PIECE = 1 << 18


def pull_image(reference: ImageReference, client: RegistryClient, directory: Path) -> tuple[Image, int]:
    """The image, unpacked below `directory` but not yet recorded, and its size as carried, in bytes.

    Its id is its name with the digest of what the name led to. Raises RegistryError, OSError.
    """
    found, digest = _manifest(reference, client)
    layers = found.get("layers")
    if not isinstance(layers, list) or not isinstance(found.get("config"), dict):
        raise RegistryError("the manifest has no configuration and layers")
    if len(layers) > _MOST_LAYERS:
        raise RegistryError(f"the image has {len(layers)} layers; {_MOST_LAYERS} at most are unpacked")
    size = sum(_size(layer) for layer in layers)
    if size > _MOST_PACKED_BYTES:
        raise RegistryError(f"the image has {size} bytes; {_MOST_PACKED_BYTES} at most are pulled")
    configuration = _configuration(reference, client, found["config"])
    unpacked = [_layer(reference, client, layer, directory) for layer in layers]
    id = f"{reference.registry}/{reference.repository}@{digest}"
    return assembled_image(configuration, unpacked, directory, id), size


def resolved_digest(reference: ImageReference, client: RegistryClient) -> str:
    """The digest of what a name leads to now. Raises RegistryError."""
    path = f"/v2/{reference.repository}/manifests/{reference.digest or reference.tag}"
    return _document(client, path, (*_INDEXES, *_MANIFESTS), reference.digest)[1]


def _manifest(reference: ImageReference, client: RegistryClient) -> tuple[Mapping[str, Any], str]:
    """The manifest for this machine, and the digest of what the name led to, which may be a list of them."""
    place = f"/v2/{reference.repository}/manifests/"
    wanted = reference.digest
    first, digest = _document(client, place + (wanted or reference.tag), (*_INDEXES, *_MANIFESTS), wanted)
    if "manifests" not in first:
        return first, digest
    chosen = _for_this_machine(first["manifests"])
    return _document(client, place + chosen, _MANIFESTS, chosen)[0], digest


def _for_this_machine(manifests: Any) -> str:
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    offered = []
    for one in manifests if isinstance(manifests, list) else ():
        on = one.get("platform") or {}
        if (on.get("os"), on.get("architecture")) == ("linux", architecture):
            return _digest_of(one)
        offered.append(f"{on.get('os')}/{on.get('architecture')}")
    raise RegistryError(
        f"no match for platform in manifest: linux/{architecture}: not found; there are {', '.join(offered)}"
    )


def _document(
    client: RegistryClient, path: str, accept: tuple[str, ...], digest: str
) -> tuple[Mapping[str, Any], str]:
    """A JSON object and its digest, which must be `digest` unless that is empty."""
    with client.get(path, accept) as answer:
        try:
            content = answer.read(_MOST_DOCUMENT_BYTES + 1)
        except (OSError, http.client.HTTPException) as problem:
            raise RegistryError(f"{path}: the answer broke off: {problem}") from None
    if len(content) > _MOST_DOCUMENT_BYTES:
        raise RegistryError(f"{path} has more than {_MOST_DOCUMENT_BYTES} bytes")
    actual = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if digest and actual != digest:
        raise RegistryError(f"failed to verify {path}: its digest is {actual}")
    try:
        document = json.loads(content)
    except ValueError:
        raise RegistryError(f"{path} is not JSON") from None
    if not isinstance(document, dict):
        raise RegistryError(f"{path} is no JSON object")
    return document, actual


def _configuration(
    reference: ImageReference, client: RegistryClient, descriptor: Mapping[str, Any]
) -> Mapping[str, Any]:
    digest = _digest_of(descriptor)
    return _document(client, f"/v2/{reference.repository}/blobs/{digest}", (), digest)[0]


def _layer(reference: ImageReference, client: RegistryClient, descriptor: Any, directory: Path) -> Path:
    digest = _digest_of(descriptor)
    target = layer_directory(directory / "layers", digest.removeprefix("sha256:"))
    if target.exists():
        return target
    with tempfile.TemporaryFile(dir=directory) as packed:
        _fetch(client, f"/v2/{reference.repository}/blobs/{digest}", digest, _size(descriptor), packed)
        packed.seek(0)
        try:
            with decompressed(packed) as layer:
                unpack_layer(layer, target)
        except (tarfile.TarError, InvalidLayer, *DecompressionFailed) as problem:
            raise RegistryError(f"failed to extract layer {digest}: {problem}") from None
    return target


def _fetch(client: RegistryClient, path: str, digest: str, size: int, target: IO[bytes]) -> None:
    hashed, length = hashlib.sha256(), 0
    with client.get(path) as answer:
        try:
            while piece := answer.read(_PIECE):
                if client.stopped():
                    raise RegistryError("the cluster stops")
                length += len(piece)
                if length > size:
                    raise RegistryError(f"layer {digest} is longer than the {size} bytes it should have")
                hashed.update(piece)
                target.write(piece)
        except (OSError, http.client.HTTPException) as problem:
            raise RegistryError(f"layer {digest} broke off after {length} bytes: {problem}") from None
    if f"sha256:{hashed.hexdigest()}" != digest:
        raise RegistryError(f"failed to verify layer {digest}: its digest is sha256:{hashed.hexdigest()}")


def _digest_of(descriptor: Any) -> str:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
        raise RegistryError(f"{digest!r} is no digest; only sha256 is known")
    return digest


def _size(descriptor: Any) -> int:
    size = descriptor.get("size") if isinstance(descriptor, dict) else None
    if not isinstance(size, int) or size < 0:
        raise RegistryError(f"{size!r} is no size of a layer")
    return size
