"""Callers that prove who they are by a service account's token: pods, and those that register pods."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Caller(msgspec.Struct, frozen=True):
    """Whose token it is. pod_name, pod_uid: of the pod it is bound to; empty for an unbound one.

    may_write: the caller may register, and write config entries and intentions.
    """

    namespace: str
    service_account: str
    pod_name: str = ""
    pod_uid: str = ""
    may_write: bool = False


class TokenRefused(Exception):
    """The token proves nothing here; the message says why."""


class TokensUnavailable(Exception):
    """Nobody can say now whose the token is; the message says why."""


class Tokens(Protocol):
    """Knows callers by their tokens."""

    async def caller(self, token: str) -> Caller:
        """Whose token it is. Raises TokenRefused, TokensUnavailable."""
