"""Kubernetes quantities, as far as a pod must not be refused for them later.

Source: Kubernetes API, "Quantity"; its error text.
"""

from __future__ import annotations

import re

from pellucid.kube.annotations import InvalidAnnotationError

_QUANTITY = re.compile(r"\+?(\d+(\.\d*)?|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?")


def checked_quantity(what: str, text: str) -> str:
    """The quantity, as written. what: where it is written. Raises InvalidAnnotationError."""
    if _QUANTITY.fullmatch(text):
        return text
    raise InvalidAnnotationError(
        f'parsing {what}:"{text}": quantities must match the regular expression '
        "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )
