"""Whose a service account's token is: asked of the Kubernetes API, remembered for a minute.

Source: Kubernetes API, authentication.k8s.io/v1 TokenReview; docs, "Service account tokens - bound tokens".
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pellucid.agent.kubernetes.cluster_api import ClusterApi, ClusterApiError
from pellucid.api.callers import Caller, TokenRefused, TokensUnavailable

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
REMEMBERED_SECONDS = 60.0
REMEMBERED_TOKENS = 10_000
MAX_TOKEN_BYTES = 16_384
_ACCOUNT = "system:serviceaccount:"
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"


class _Verdict(msgspec.Struct, frozen=True):
    """What a review came to, and until when (monotonic seconds) it holds."""

    until: float
    caller: Caller | None
    refusal: str = ""


class TokenReviews:
    """Reviews tokens for one audience. Implements `api.callers.Tokens`."""

    def __init__(
        self,
        api: ClusterApi,
        audience: str,
        registrars: frozenset[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._audience, self._registrars, self._clock = api, audience, registrars, clock
        self._verdicts: OrderedDict[bytes, _Verdict] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[_Verdict]] = {}

    async def caller(self, token: str) -> Caller:
        """Whose token it is. Raises TokenRefused, TokensUnavailable."""
        if len(token) > MAX_TOKEN_BYTES or expiry(token) is None:
            raise TokenRefused("what was sent is no projected service account token")
        digest = hashlib.sha256(token.encode()).digest()
        verdict = self._verdicts.get(digest)
        if verdict is None or verdict.until <= self._clock():
            verdict = await self._reviewed(digest, token)
        if verdict.caller is None:
            raise TokenRefused(verdict.refusal)
        return verdict.caller

    async def _reviewed(self, digest: bytes, token: str) -> _Verdict:
        """One request for each token, however many ask at the same time."""
        task = self._under_way.get(digest)
        if task is None:
            task = self._under_way[digest] = asyncio.create_task(self._review(token))
            task.add_done_callback(lambda _: self._under_way.pop(digest, None))
        verdict = await asyncio.shield(task)
        self._verdicts[digest] = verdict
        self._verdicts.move_to_end(digest)
        if len(self._verdicts) > REMEMBERED_TOKENS:
            self._verdicts.popitem(last=False)
        return verdict

    async def _review(self, token: str) -> _Verdict:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self._audience]},
        }
        try:
            answer = await self._api.create(REVIEWS, body)
        except ClusterApiError as error:
            raise TokensUnavailable(f"the token cannot be reviewed: {error}") from error
        until = self._clock() + min(REMEMBERED_SECONDS, (expiry(token) or 0.0) - time.time())
        try:
            return _Verdict(until, read_review(answer, self._audience, self._registrars))
        except TokenRefused as refused:
            return _Verdict(until, None, str(refused))


class _Claims(msgspec.Struct, frozen=True):
    exp: float


def expiry(token: str) -> float | None:
    """When a token says it ends, in unix seconds: not taken at its word, but no verdict outlasts it.

    None if it does not say; what Kubernetes makes for pods does. Source: RFC 7519 section 4.1.4.
    """
    parts = token.split(".")
    try:
        _, payload, _ = parts
        padded = payload + "=" * (-len(payload) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Claims).exp
    except (ValueError, msgspec.MsgspecError):
        return None


def read_review(review: Mapping[str, Any], audience: str, registrars: frozenset[str]) -> Caller:
    """Whose token a review says it is. Raises TokenRefused with the API's reason or ours."""
    status = review.get("status") or {}
    if not status.get("authenticated"):
        raise TokenRefused(f"the token is not valid here: {status.get('error') or 'not authenticated'}")
    if audience not in (status.get("audiences") or ()):
        raise TokenRefused(f'the token is not meant for "{audience}"')
    user = status.get("user") or {}
    name = str(user.get("username", ""))
    namespace, _, account = name.removeprefix(_ACCOUNT).partition(":")
    if not name.startswith(_ACCOUNT) or not account:
        raise TokenRefused(f'"{name}" is no service account')
    extra = user.get("extra") or {}
    return Caller(
        namespace=namespace,
        service_account=account,
        pod_name=next(iter(extra.get(_POD_NAME) or ()), ""),
        pod_uid=next(iter(extra.get(_POD_UID) or ()), ""),
        may_write=f"{namespace}/{account}" in registrars,
    )
