"""Talks to a registry: requests with redirects, and whatever proof of identity it asks for. Blocks.

Source: OCI distribution specification 1.1; the Docker registry's token authentication specification.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import urlencode, urljoin, urlsplit

from pellucid.localkube.images.pull_credentials import PullCredentials

_TIMEOUT_S = 30.0
_MOST_REDIRECTS = 5
_MOST_TOKEN_BYTES = 1 << 20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DOCKER_HUB = {"docker.io": "registry-1.docker.io"}
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class RegistryError(Exception):
    """The registry said no, or could not be asked; the message is what a user reads."""


class NotInRegistry(RegistryError):
    """It has no such thing, or does not admit to it."""


def is_loopback(registry: str) -> bool:
    """Whether a registry is on the very machine that asks."""
    host = urlsplit(f"//{registry}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class RegistryClient:
    """One registry, for the time of one pull.

    plain: by HTTP rather than HTTPS. stopped: asked now and then; once it says yes, the pull ends.
    """

    def __init__(
        self,
        registry: str,
        *,
        plain: bool,
        credentials: PullCredentials | None = None,
        stopped: Callable[[], bool] = lambda: False,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        scheme = "http" if plain else "https"
        self._root = f"{scheme}://{_DOCKER_HUB.get(registry, registry)}"
        self._plain = plain
        self._credentials = credentials
        self._trust = trust or ssl.create_default_context()
        self._authorization = ""
        self.stopped = stopped

    @contextmanager
    def get(self, path: str, accept: tuple[str, ...] = ()) -> Iterator[http.client.HTTPResponse]:
        """The answer to `GET path`, below the registry's root. Raises RegistryError, NotInRegistry."""
        url, headers = self._root + path, {"Accept": ", ".join(accept) or "*/*"}
        answer = self._follow(url, headers)
        try:
            if answer.status == 401 and self._prove(answer.headers.get_all("WWW-Authenticate") or []):
                answer.close()
                answer = self._follow(url, headers)
            if answer.status != 200:
                raise _refusal(url, answer)
            yield answer
        finally:
            answer.close()

    def _follow(self, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """What the registry is shown to prove who asks is shown to nobody it sends us to."""
        home = urlsplit(url).netloc
        for _ in range(_MOST_REDIRECTS):
            own = urlsplit(url).netloc == home and self._authorization
            answer = self._ask(url, {**headers, **({"Authorization": self._authorization} if own else {})})
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            answer.close()
            url = urljoin(url, location)
            self._check_scheme(url)
        raise RegistryError(f'failed to do request: Get "{url}": stopped after {_MOST_REDIRECTS} redirects')

    def _ask(self, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(parts.netloc, timeout=_TIMEOUT_S, context=self._trust)
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_S)
        try:
            connection.request(
                "GET", target, headers={"User-Agent": "pellucid", "Connection": "close", **headers}
            )
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            raise RegistryError(f'failed to do request: Get "{url}": {_words(problem)}') from None

    def _check_scheme(self, url: str) -> None:
        if urlsplit(url).scheme not in (("https", "http") if self._plain else ("https",)):
            raise RegistryError(f'failed to do request: the registry leads to "{url}", which is not HTTPS')

    def _prove(self, challenges: list[str]) -> bool:
        """Get what the registry asks for; whether there is anything new to show."""
        if self._authorization:
            return False
        for challenge in challenges:
            scheme, _, rest = challenge.partition(" ")
            parameters = {name.lower(): value for name, value in _PARAMETER.findall(rest)}
            if scheme.lower() == "bearer" and parameters.get("realm"):
                self._authorization = f"Bearer {self._token(parameters)}"
            elif scheme.lower() == "basic" and self._credentials:
                self._authorization = self._credentials.basic()
        return bool(self._authorization)

    def _token(self, parameters: Mapping[str, str]) -> str:
        realm = parameters["realm"]
        self._check_scheme(realm)
        asked = {name: parameters[name] for name in ("service", "scope") if name in parameters}
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(asked)}"
        headers = {"Authorization": self._credentials.basic()} if self._credentials else {}
        answer = self._ask(url, headers)
        try:
            if answer.status != 200:
                raise RegistryError(
                    f"failed to authorize: failed to fetch {'oauth' if headers else 'anonymous'} token: "
                    f"unexpected status from GET request to {url}: {answer.status} {answer.reason}"
                )
            document = json.loads(answer.read(_MOST_TOKEN_BYTES))
            return str(document.get("token") or document["access_token"])
        except (ValueError, KeyError, AttributeError, OSError, http.client.HTTPException):
            raise RegistryError(f"failed to authorize: {realm} did not answer with a token") from None
        finally:
            answer.close()


def _refusal(url: str, answer: http.client.HTTPResponse) -> RegistryError:
    if answer.status == 404:
        return NotInRegistry("not found")
    if answer.status in (401, 403):
        return RegistryError(
            "pull access denied, repository does not exist or may require authorization: server message: "
            f"{answer.status} {answer.reason}"
        )
    return RegistryError(f"unexpected status from GET request to {url}: {answer.status} {answer.reason}")


def _words(problem: Exception) -> str:
    if isinstance(problem, TimeoutError):
        return "i/o timeout"
    return problem.strerror or str(problem) if isinstance(problem, OSError) else str(problem)
