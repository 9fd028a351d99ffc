"""The calls that a workload makes to its agent's HTTP API: register, report health, deregister.

Plain blocking calls over the standard library, for the supervisor's threads and for the guardian, which must
stay small.
Source: Consul 1.10 docs, "Agent HTTP API".
"""

from __future__ import annotations

import http.client
import socket
import ssl
from base64 import b64encode
from typing import Any

import msgspec

from pellucid.model.identity import CREDENTIAL_HEADER

_TIMEOUT_S = 10.0
_LONGEST_ERROR = 500
_MOST_BYTES = 16 << 20


class AgentError(Exception):
    """The agent cannot be reached, or refused."""


class AgentRefusedError(AgentError):
    """The agent was reached, and refused; with its own words."""


class AgentAddress(msgspec.Struct, frozen=True):
    """Where the agent's HTTP API is, and how to speak to it.

    scheme: "http", "https" or "unix"; address: host:port, or the socket's path;
    basic_auth: `user:password`, for a proxy in front of the agent.
    """

    scheme: str = "http"
    address: str = "127.0.0.1:8500"
    token: str = ""
    basic_auth: str = ""
    ca_file: str = ""
    ca_path: str = ""
    client_cert: str = ""
    client_key: str = ""
    tls_server_name: str = ""
    verify: bool = True

    def __repr__(self) -> str:
        return f"{self.scheme}://{self.address}"

    __str__ = __repr__


class Answer(msgspec.Struct, frozen=True):
    """headers: names in lower case."""

    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


def register_service(agent: AgentAddress, registration: dict[str, Any]) -> str:
    """Register a service with its sidecar, in place of an earlier registration of that id if there is one.

    Returns the credential of the workload, "" if the agent gives none. Raises AgentError.
    """
    options = "replace-existing-checks=true&pellucid-credential=new"
    answer = call(agent, "PUT", f"/v1/agent/service/register?{options}", registration)
    return answer.headers.get(CREDENTIAL_HEADER.lower(), "")


def deregister_service(agent: AgentAddress, service_id: str) -> None:
    """Raises AgentError."""
    call(agent, "PUT", f"/v1/agent/service/deregister/{service_id}")


def update_check(agent: AgentAddress, check_id: str, status: str, output: str) -> None:
    """Report on a TTL check: "passing", "warning" or "critical". Raises AgentError."""
    call(agent, "PUT", f"/v1/agent/check/update/{check_id}", {"Status": status, "Output": output})


def call(agent: AgentAddress, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
    """Raises AgentError, with the agent's own words when it refused."""
    connection = _connection(agent)
    headers = {"X-Consul-Token": agent.token} if agent.token else {}
    if agent.basic_auth:
        headers["Authorization"] = f"Basic {b64encode(agent.basic_auth.encode()).decode()}"
    try:
        connection.request(method, path, None if body is None else msgspec.json.encode(body), headers)
        response = connection.getresponse()
        content = response.read(_MOST_BYTES)
    except http.client.HTTPException as problem:
        raise AgentError(
            f"what answers at {agent} is no agent's HTTP API ({type(problem).__name__}): is it the HTTP port?"
        ) from problem
    except OSError as problem:
        raise AgentError(
            f"no agent answers at {agent} ({problem}): is `pellucid agent` running?"
        ) from problem
    finally:
        connection.close()
    if response.status >= 400:
        said = content[:_LONGEST_ERROR].decode(errors="replace").strip()
        raise AgentRefusedError(f"the agent at {agent} answered {response.status} to {method} {path}: {said}")
    return Answer({name.lower(): value for name, value in response.getheaders()}, content)


def _connection(agent: AgentAddress) -> http.client.HTTPConnection:
    if agent.scheme == "unix":
        return _UnixConnection(agent.address)
    if agent.scheme == "https":
        host, _, port = agent.address.rpartition(":")
        return _NamedHTTPSConnection(host.strip("[]"), int(port), agent)
    return http.client.HTTPConnection(agent.address, timeout=_TIMEOUT_S)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(self._path)


class _NamedHTTPSConnection(http.client.HTTPConnection):
    """HTTPS to a server whose certificate may be for another name than the one dialled."""

    def __init__(self, host: str, port: int, agent: AgentAddress) -> None:
        super().__init__(host, port, timeout=_TIMEOUT_S)
        self._agent = agent

    def connect(self) -> None:
        super().connect()
        agent = self._agent
        context = ssl.create_default_context(cafile=agent.ca_file or None, capath=agent.ca_path or None)
        if not agent.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if agent.client_cert:
            context.load_cert_chain(agent.client_cert, agent.client_key or None)
        self.sock = context.wrap_socket(self.sock, server_hostname=agent.tls_server_name or self.host)
