"""A small registry, by the standard protocol, whose manners and mistakes a test chooses."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import ssl
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import zstandard

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
USER, PASSWORD, TOKEN = "robot", "s3cret", "opaque-token"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tar_of(files: Mapping[str, bytes], mode: int = 0o755) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.mode, entry.size = mode, len(content)
            if name.endswith("/"):
                entry.type = tarfile.DIRTYPE
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def packed(layer: bytes, how: str) -> bytes:
    match how:
        case "gzip":
            return gzip.compress(layer)
        case "zstd":
            return zstandard.compress(layer)
        case _:
            return layer


@dataclass
class Registry:
    """What it has, and what it was asked."""

    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """`repository:tag` and `repository@digest`, with media type and content."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    guard: str = ""
    """`bearer` or `basic` ask for USER and PASSWORD; `anonymous` gives anybody a token."""
    elsewhere: bool = False
    """Whether blobs are to be got from another address, as large registries do."""
    stalled: threading.Event | None = None
    """If set, no blob is given before it happens."""
    blob_asked: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    shown: list[tuple[str, str]] = field(default_factory=list)
    """Paths with the `Authorization` that came with them."""
    address: str = ""

    def add_blob(self, content: bytes, *, as_digest: str = "") -> dict[str, Any]:
        digest = as_digest or digest_of(content)
        self.blobs[digest] = content
        return {"digest": digest, "size": len(content), "mediaType": "application/octet-stream"}

    def add_image(
        self, name: str, *layers: bytes, settings: Mapping[str, Any] | None = None, media_type: str = MANIFEST
    ) -> str:
        """An image by `repository:tag`; its manifest's digest."""
        configuration = json.dumps({"architecture": "any", "os": "linux", "config": dict(settings or {})})
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": self.add_blob(configuration.encode()),
            "layers": [self.add_blob(layer) for layer in layers],
        }
        return self.add_manifest(name, media_type, manifest)

    def add_index(self, name: str, by_architecture: Mapping[str, str]) -> str:
        """A list of images: architecture to the digest of a manifest."""
        entries = [
            {
                "digest": digest,
                "size": 1,
                "mediaType": MANIFEST,
                "platform": {"os": "linux", "architecture": on},
            }
            for on, digest in by_architecture.items()
        ]
        return self.add_manifest(name, INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})

    def add_manifest(self, name: str, media_type: str, document: Mapping[str, Any]) -> str:
        content = json.dumps(document).encode()
        digest = digest_of(content)
        self.manifests[name] = (media_type, content)
        self.manifests[f"{name.rpartition(':')[0]}@{digest}"] = (media_type, content)
        return digest


@contextmanager
def served(
    registry: Registry, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Registry]:
    """Serve it in the network namespace of this thread."""

    class Handler(_Answers):
        of = registry

    server = ThreadingHTTPServer((host, port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    registry.address = f"{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answers(BaseHTTPRequestHandler):
    of: Registry

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.of.asked.append(self.path)
        authorization = self.headers.get("Authorization", "")
        self.of.shown.append((self.path, authorization))
        if path == "/token":
            self._token(authorization)
        elif path.startswith("/far/"):
            self._blob(path.removeprefix("/far/"))
        elif not self._allowed(authorization):
            realm = f'Bearer realm="http://{self.of.address}/token",service="test",scope="repository:a:pull"'
            challenge = 'Basic realm="test"' if self.of.guard == "basic" else realm
            self._answer(401, b"{}", {"WWW-Authenticate": challenge})
        elif "/manifests/" in path:
            repository, _, reference = path.removeprefix("/v2/").partition("/manifests/")
            joint = "@" if reference.startswith("sha256:") else ":"
            media_type, content = self.of.manifests.get(f"{repository}{joint}{reference}", ("", b""))
            self._answer(200 if content else 404, content, {"Content-Type": media_type})
        elif self.of.elsewhere:
            port = self.of.address.rpartition(":")[2]
            digest = path.rpartition("/")[2]
            self._answer(307, b"", {"Location": f"http://localhost:{port}/far/{digest}"})
        else:
            self._blob(path.rpartition("/")[2])

    def _allowed(self, authorization: str) -> bool:
        match self.of.guard:
            case "basic":
                return authorization == _basic()
            case "":
                return True
            case _:
                return authorization == f"Bearer {TOKEN}"

    def _token(self, authorization: str) -> None:
        if self.of.guard == "bearer" and authorization != _basic():
            self._answer(401, b"{}", {})
        else:
            self._answer(200, json.dumps({"token": TOKEN}).encode(), {})

    def _blob(self, digest: str) -> None:
        self.of.blob_asked.set()
        if self.of.stalled is not None:
            self.of.stalled.wait()
        content = self.of.blobs.get(digest)
        self._answer(404 if content is None else 200, content or b"", {})

    def _answer(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Tests look at `asked`."""


def _basic() -> str:
    return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
