"""Image references, as people write them.

Source: the reference grammar of the OCI distribution specification and its Docker defaults.
"""

from __future__ import annotations

import re

import msgspec

_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DEFAULT_REGISTRY = "docker.io"


class InvalidImageName(ValueError):
    """The text is no image reference; the message says so in the kubelet's words."""


class ImageReference(msgspec.Struct, frozen=True):
    """`registry/repository:tag@digest`; `digest` is empty when none was written."""

    registry: str
    repository: str
    tag: str
    digest: str = ""

    @property
    def last_component(self) -> str:
        """`kuma-init` of `example.com/team/kuma-init:1.0.3`."""
        return self.repository.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}" + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> ImageReference:
    """Raises InvalidImageName."""
    rest, _, digest = text.partition("@")
    head, slash, tail = rest.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        registry, rest = head, tail
    else:
        registry = _DEFAULT_REGISTRY
    repository, _, tag = rest.partition(":")
    tag = tag or "latest"
    if registry == _DEFAULT_REGISTRY and "/" not in repository:
        repository = f"library/{repository}"
    valid = _NAME.fullmatch(repository) and _TAG.fullmatch(tag) and (not digest or _DIGEST.fullmatch(digest))
    if not valid:
        raise InvalidImageName(
            f'Failed to apply default image tag "{text}": couldn\'t parse image name "{text}": '
            "invalid reference format"
        )
    return ImageReference(registry, repository, tag, digest)
