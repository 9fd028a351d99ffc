"""Puts a redirection plan into the kernel of a network namespace, checks it, takes it out again.

Each family is one `iptables-restore` transaction; when the second family fails, the first is undone, so
nothing stays half applied. Imports no more than it needs: it also runs as a pod's init step.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from pellucid.dataplane.redirect_plan import (
    Family,
    RedirectPlan,
    apply_script,
    is_installed,
    restore_script,
    undo_script,
)

_LOCK_WAIT_S = 10
_REFUSALS = ("Permission denied", "Operation not permitted", "you must be root")


class RedirectError(Exception):
    """Traffic redirection could not be set up, checked or undone; the rules are as they were before."""


class NotPermittedError(RedirectError):
    """This process may not change the namespace's rules."""


class IptablesMissingError(RedirectError):
    """There is no iptables on this machine."""


class NoSuchNamespaceError(RedirectError):
    """The named network namespace cannot be entered."""


class NetworkNamespace(msgspec.Struct, frozen=True):
    """The namespace whose rules are meant: the caller's own, one bound to a path, or that of a process."""

    path: str | None = None
    pid: int | None = None

    def entering(self, command: list[str]) -> list[str]:
        """`command`, wrapped so that it runs there."""
        if self.path is not None:
            return ["nsenter", f"--net={self.path}", "--", *command]
        if self.pid is not None:
            # A rootless namespace gives its rights only within the user namespace that owns it.
            user = [] if _shares_our_user_namespace(self.pid) else ["--user", "--preserve-credentials"]
            return ["nsenter", f"--target={self.pid}", "--net", *user, "--", *command]
        return command


OWN_NAMESPACE = NetworkNamespace()


def apply_redirection(plan: RedirectPlan, namespace: NetworkNamespace = OWN_NAMESPACE) -> None:
    """Make the namespace hold exactly this plan's rules among ours; foreign rules stay as they are.

    Raises RedirectError; then nothing of the plan is left behind.
    """
    before: dict[Family, str] = {}
    try:
        for family in _families():
            before[family] = _change(family, namespace, partial(apply_script, plan, family))
    except RedirectError:
        for family, installed in before.items():
            _change(family, namespace, partial(restore_script, installed))
        raise


def undo_redirection(namespace: NetworkNamespace = OWN_NAMESPACE) -> None:
    """Remove our chains and jumps; harmless when there are none. Raises RedirectError."""
    for family in _families():
        _change(family, namespace, undo_script)


def is_redirected(plan: RedirectPlan, namespace: NetworkNamespace = OWN_NAMESPACE) -> bool:
    """Whether the kernel holds this plan, whole and unaltered, in every family. Raises RedirectError."""
    return all(is_installed(plan, family, _installed(family, namespace)) for family in _families())


def _families() -> list[Family]:
    """IPv6 only where the kernel has it; without, there is no IPv6 traffic to redirect."""
    return list(Family) if Path("/proc/sys/net/ipv6").is_dir() else [Family.IPV4]


def _change(family: Family, namespace: NetworkNamespace, script_for: Callable[[str], str]) -> str:
    """Run the script that fits what is installed; returns what was."""
    installed = _installed(family, namespace)
    script = script_for(installed)
    if script:
        _run([f"{family.command}-restore", "--noflush", f"--wait={_LOCK_WAIT_S}"], namespace, script)
    return installed


def _installed(family: Family, namespace: NetworkNamespace) -> str:
    return _run([f"{family.command}-save", "-t", "nat"], namespace)


def _run(command: list[str], namespace: NetworkNamespace, stdin: str = "") -> str:
    wrapped = namespace.entering(command)
    try:
        done = subprocess.run(wrapped, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise _missing(wrapped[0]) from None
    if done.returncode != 0:
        raise _failure(command[0], namespace, done.stderr.strip(), stdin)
    return done.stdout


def _failure(command: str, namespace: NetworkNamespace, stderr: str, stdin: str) -> RedirectError:
    if "nsenter: failed to execute" in stderr:
        return _missing(command)
    if any(refusal in stderr for refusal in _REFUSALS):
        return NotPermittedError(
            f"{command} is not permitted here ({stderr}): run as root, or give the container NET_ADMIN"
        )
    if stderr.startswith("nsenter:"):
        where = namespace.path or f"of process {namespace.pid}"
        return NoSuchNamespaceError(
            f"network namespace {where} cannot be entered ({stderr}): name a living one"
        )
    return RedirectError(f"{command} refused the rules: {stderr}\n{stdin}".rstrip())


def _missing(command: str) -> IptablesMissingError:
    package = "util-linux" if command == "nsenter" else "iptables"
    return IptablesMissingError(
        f"{command} is not installed: install the package {package} (apt-get install {package})"
    )


def _shares_our_user_namespace(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/ns/user").stat().st_ino == Path("/proc/self/ns/user").stat().st_ino
    except OSError:
        return True
