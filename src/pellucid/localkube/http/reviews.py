"""Kinds that are questions: created, answered, and never stored.

Source: Kubernetes API reference, authentication.k8s.io/v1 and authorization.k8s.io/v1.
"""

from __future__ import annotations

import datetime
from typing import Any

from pellucid.localkube.api.access import Access, Attributes
from pellucid.localkube.api.admission import User
from pellucid.localkube.api.objects import Source
from pellucid.localkube.api.rules.causes import bad
from pellucid.localkube.api.status import bad_request, invalid, not_found
from pellucid.localkube.api.store import Resources
from pellucid.localkube.api.tokens import ISSUER, ServiceAccountTokens, TokenRefused
from pellucid.localkube.types.kinds import SERVICE_ACCOUNTS, TOKEN_REQUESTS, Resource

Object = dict[str, Any]

SHORTEST_TOKEN = 600
LONGEST_TOKEN = 1 << 32


class Reviews:
    """Answers them."""

    def __init__(
        self, resources: Resources, access: Access, tokens: ServiceAccountTokens, source: Source
    ) -> None:
        self._resources = resources
        self._access = access
        self._tokens = tokens
        self._source = source

    def answer(self, resource: Resource, asked: Object, namespace: str, user: User) -> Object:
        """The question with its status. Raises ApiError 400."""
        spec = asked.get("spec") or {}
        match resource.kind:
            case "TokenReview":
                status = self._token(spec)
            case "SelfSubjectReview":
                status = {"userInfo": user.shown()}
            case "SelfSubjectRulesReview":
                status = self._rules(user, spec.get("namespace") or "")
            case "SelfSubjectAccessReview":
                status = self._access_to(user, spec, "")
            case "SubjectAccessReview" | "LocalSubjectAccessReview":
                subject = User(spec.get("user") or "", tuple(spec.get("groups") or ()))
                status = self._access_to(subject, spec, namespace)
            case _:
                raise bad_request(f"{resource.kind} cannot be reviewed")
        return {
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "metadata": {"creationTimestamp": None},
            **({"spec": spec} if spec else {}),
            "status": status,
        }

    def _token(self, spec: Object) -> Object:
        audiences = tuple(spec.get("audiences") or (ISSUER,))
        try:
            user = self._tokens.verify(spec.get("token") or "", audiences)
        except TokenRefused as refused:
            return {"user": {}, "error": str(refused)}
        return {"authenticated": True, "user": user.shown(), "audiences": list(audiences)}

    def _access_to(self, user: User, spec: Object, namespace: str) -> Object:
        about, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if path is not None:
            wanted = Attributes(path.get("verb") or "", path=path.get("path") or "/")
        elif about is not None:
            wanted = Attributes(
                about.get("verb") or "",
                about.get("group") or "",
                about.get("resource") or "",
                about.get("subresource") or "",
                namespace or about.get("namespace") or "",
                about.get("name") or "",
            )
        else:
            raise bad_request("spec: one of resourceAttributes and nonResourceAttributes is required")
        reason = self._access.granted_by(user, wanted)
        allowed = self._access.allowed(user, wanted)
        return {"allowed": allowed, **({"reason": reason} if reason else {})}

    def _rules(self, user: User, namespace: str) -> Object:
        rules = list(self._access.rules(user, namespace))
        if "system:masters" in user.groups:
            everything: list[Object] = [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]
            rules += [one for one in everything if one not in rules]
        return {
            "resourceRules": [one for one in rules if not one.get("nonResourceURLs")],
            "nonResourceRules": [one for one in rules if one.get("nonResourceURLs")],
            "incomplete": False,
        }

    def token_request(self, namespace: str, name: str, asked: Object) -> Object:
        """`serviceaccounts/<name>/token`: a token for the account. Raises ApiError 404, 422."""
        account = self._resources.peek(SERVICE_ACCOUNTS, namespace, name)
        if account is None:
            raise not_found(SERVICE_ACCOUNTS, name)
        spec = asked.get("spec") or {}
        seconds = int(spec.get("expirationSeconds") or 3600)
        if not SHORTEST_TOKEN <= seconds <= LONGEST_TOKEN:
            bound = "less than 10 minutes" if seconds < SHORTEST_TOKEN else "larger than 2^32 seconds"
            why = f"may not specify a duration {bound}"
            raise invalid(TOKEN_REQUESTS, "", [bad("spec.expirationSeconds", seconds, why)])
        audiences = tuple(spec.get("audiences") or (ISSUER,))
        bound_to = spec.get("boundObjectRef") or {}
        pod = (bound_to["name"], bound_to.get("uid", "")) if bound_to.get("kind") == "Pod" else None
        token = self._tokens.issue(
            namespace, name, account["metadata"]["uid"], audiences=audiences, seconds=seconds, pod=pod
        )
        ends = self._source.time() + datetime.timedelta(seconds=seconds)
        now = self._source.timestamp()
        granted: Object = {"audiences": list(audiences), "expirationSeconds": seconds}
        if bound_to:
            granted["boundObjectRef"] = bound_to
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": now},
            "spec": granted,
            "status": {"token": token, "expirationTimestamp": ends.strftime("%Y-%m-%dT%H:%M:%SZ")},
        }
