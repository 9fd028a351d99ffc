"""Who runs a workload's program."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping

import msgspec

from pellucid.dataplane.namespace.protocol import Credentials
from pellucid.dataplane.redirect_settings import InvalidSettingError, parse_id


class WorkloadUser(msgspec.Struct, frozen=True):
    """A user, with what programs expect to find in their environment about it."""

    credentials: Credentials
    variables: dict[str, str]


def workload_user(asked: str, environment: Mapping[str, str]) -> WorkloadUser:
    """The user asked for; if none, the one who called sudo, else the one we are.

    asked: `name`, `uid` or `uid:gid`. Raises InvalidSettingError.
    """
    if not asked and os.geteuid() == 0 and "SUDO_UID" in environment:
        asked = environment["SUDO_UID"]
    if not asked:
        return WorkloadUser(Credentials(os.getuid(), os.getgid(), tuple(os.getgroups())), {})
    name, _, group = asked.partition(":")
    account = _account(name)
    if account is None:
        uid = parse_id("user", name)
        gid = parse_id("user", group) if group else uid
        return WorkloadUser(Credentials(uid, gid), {})
    gid = parse_id("user", group) if group else account.pw_gid
    groups = tuple(os.getgrouplist(account.pw_name, gid))
    variables = {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
    return WorkloadUser(Credentials(account.pw_uid, gid, groups), variables)


def _account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        if name.isdecimal():
            return None
        raise InvalidSettingError("user", name, "the name or number of a user of this machine") from None
