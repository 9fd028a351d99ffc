"""The few requests to the Linux kernel that Python 3.11 has no function for."""

from __future__ import annotations

import ctypes
import os
import re
import signal
from pathlib import Path

CLONE_NEWUSER = 0x10000000
MS_BIND = 0x1000
MS_NOSUID_NODEV = 0x2 | 0x4

_CAP_NET_ADMIN = 12
_MNT_DETACH = 2
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Raises OSError."""
    arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _check(_libc.mount(*arguments), target)


def unmount(target: str) -> None:
    """Detach a mount; what is bound elsewhere lives on. Raises OSError."""
    _check(_libc.umount2(target.encode(), _MNT_DETACH), target)


def unshare(flags: int) -> None:
    """Raises OSError."""
    _check(_libc.unshare(flags))


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def forbid_new_privileges() -> None:
    """No program that this process becomes can gain rights by set-user-id bits or file capabilities."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def drop_from_bounding_set(capability: int) -> None:
    """Needs CAP_SETPCAP. Raises OSError."""
    _check(_libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0))


def may_administer_networks() -> bool:
    """Whether this process has CAP_NET_ADMIN, which root lacks in most containers. Source: proc(5)."""
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return effective is not None and bool(int(effective[1], 16) & 1 << _CAP_NET_ADMIN)


def _check(result: int, subject: str | None = None) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), subject)
