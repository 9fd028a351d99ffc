"""What checks say, and what is to be done about it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pellucid.model.checks import CheckStatus


class CheckKey(NamedTuple):
    """Which check: its node and its id there."""

    node: str
    check_id: str


class CheckResult(msgspec.Struct, frozen=True):
    """What one look found, in the words shown to people."""

    status: CheckStatus
    output: str
    counts: bool = True
    """False when the result stands at once, whatever the thresholds: a script that had to be killed."""


class Probe(msgspec.Struct, frozen=True):
    """To do: look, and hand the result to `CheckMachine.finish`."""


class Report(msgspec.Struct, frozen=True):
    """To do: publish a check's new status or output."""

    status: CheckStatus
    output: str


class Deregister(msgspec.Struct, frozen=True):
    """To do: remove the service that has been critical for too long."""

    service_id: str


Action = Probe | Report | Deregister


class CheckReport(msgspec.Struct, frozen=True):
    """A check's new status or output, for publication."""

    key: CheckKey
    status: CheckStatus
    output: str
