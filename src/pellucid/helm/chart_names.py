"""NAME and CHART on a command line, of which the name may be missing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pellucid.helm.call import CommandFailed

if TYPE_CHECKING:
    from pellucid.helm.call import Call


def name_and_chart(call: Call, default: str = "") -> tuple[str, str]:
    """The release's name and the chart's reference.

    default: the name if none is given; without it one is needed. Raises CommandFailed.
    """
    generate = call.said.boolean("generate-name")
    if len(call.arguments) == 2:
        if generate:
            raise CommandFailed("cannot set --generate-name and also specify a name")
        return call.arguments[0], call.arguments[1]
    (reference,) = call.arguments
    if generate:
        return f"{_base(reference)}-{int(time.time())}", reference
    if not default:
        raise CommandFailed("must either provide a name or specify --generate-name")
    return default, reference


def _base(reference: str) -> str:
    """The chart's name as far as its reference tells it: `web` of `./charts/web-1.2.0.tgz`."""
    last = reference.rstrip("/").rpartition("/")[2]
    for ending in (".tgz", ".tar.gz"):
        if last.endswith(ending):
            return last.removesuffix(ending).rpartition("-")[0] or last.removesuffix(ending)
    return last if last.strip(".") else "chart"
