"""Service account tokens: signed, bound to an audience, an account and perhaps a pod, for a while.

Source: Kubernetes docs, "Managing Service Accounts - Bound service account tokens"; RFC 7515, RFC 7519.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from pellucid.localkube.api.admission import User
from pellucid.localkube.api.objects import Object

ISSUER = "https://kubernetes.default.svc.cluster.local"


class TokenRefused(Exception):
    """The token is not one of ours, is not for us, or is over."""


class ServiceAccountTokens:
    """Issues and checks tokens with one key. now: seconds since the epoch."""

    def __init__(
        self,
        key: rsa.RSAPrivateKey,
        now: Callable[[], float],
        uid_of: Callable[[str, str], str | None],
    ) -> None:
        """uid_of: the uid of the service account (namespace, name) as it is now, or None."""
        self._key = key
        self._now = now
        self._uid_of = uid_of

    def issue(
        self,
        namespace: str,
        account: str,
        uid: str,
        *,
        audiences: Sequence[str] = (ISSUER,),
        seconds: int | None = 3600,
        pod: tuple[str, str] | None = None,
    ) -> str:
        """A token for an account. pod: name and uid of the pod it is bound to. seconds: None for ever."""
        now = int(self._now())
        bound: Object = {"namespace": namespace, "serviceaccount": {"name": account, "uid": uid}}
        if pod is not None:
            bound["pod"] = {"name": pod[0], "uid": pod[1]}
        claims: Object = {
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "aud": list(audiences),
            "iat": now,
            "nbf": now,
            "kubernetes.io": bound,
        }
        if seconds is not None:
            claims["exp"] = now + seconds
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), SHA256())
        return f"{signed}.{_base64(signature)}"

    def verify(self, token: str, audiences: Sequence[str] = (ISSUER,)) -> User:
        """The account a token speaks for. Raises TokenRefused."""
        try:
            header, payload, signature = token.split(".")
            if _read(header).get("alg") != "RS256":
                raise TokenRefused("the token is not signed as service account tokens are")
            signed = f"{header}.{payload}".encode()
            self._key.public_key().verify(_bytes(signature), signed, padding.PKCS1v15(), SHA256())
            claims = _read(payload)
            bound = claims["kubernetes.io"]
            namespace, account = bound["namespace"], bound["serviceaccount"]
        except (ValueError, KeyError, TypeError, AttributeError, InvalidSignature):
            raise TokenRefused("invalid bearer token") from None
        if "exp" in claims and claims["exp"] < self._now():
            raise TokenRefused("service account token has expired")
        if not set(claims.get("aud") or ()) & set(audiences):
            raise TokenRefused(f"token audiences {claims.get('aud')} is invalid for the target audiences")
        if self._uid_of(namespace, account["name"]) != account["uid"]:
            raise TokenRefused("the service account of the token is gone")
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
        if pod := bound.get("pod"):
            prefix = "authentication.kubernetes.io/pod"
            extra = ((f"{prefix}-name", (pod["name"],)), (f"{prefix}-uid", (pod["uid"],)))
        return User(claims["sub"], groups, account["uid"], extra)


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _part(value: Object) -> str:
    return _base64(msgspec.json.encode(value))


def _read(part: str) -> dict[str, Any]:
    return msgspec.json.decode(_bytes(part), type=dict[str, Any])
