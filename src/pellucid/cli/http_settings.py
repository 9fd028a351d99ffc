"""Where the agent is and how to speak to it: the shared flags, and the CONSUL_* environment.

Flags beat the environment; at the same level a token file beats a token.
Source: Consul 1.10 docs, Commands, "Environment Variables" and "HTTP API Options".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.cli.go_flags import FALSE_WORDS, TRUE_WORDS, Flag, FlagValues

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_ADDRESS = "127.0.0.1:8500"
MAX_TOKEN_CHARACTERS = 65536

CLIENT_FLAGS = (
    Flag("ca-file", "A file of CA certificates (PEM) to check the agent's certificate with. CONSUL_CACERT."),
    Flag("ca-path", "A directory of CA certificates to check the agent's certificate with. CONSUL_CAPATH."),
    Flag("client-cert", "A client certificate (PEM) for agents that ask for one. CONSUL_CLIENT_CERT."),
    Flag("client-key", "The private key (PEM) of the client certificate. CONSUL_CLIENT_KEY."),
    Flag(
        "http-addr",
        "The agent's address: host:port, http://host:port, https://host:port or unix:///path. "
        "CONSUL_HTTP_ADDR. The default is http://127.0.0.1:8500.",
        placeholder="address",
    ),
    Flag(
        "tls-server-name",
        "The name to expect in the agent's certificate, and to send as SNI. CONSUL_TLS_SERVER_NAME.",
    ),
    Flag("token", "The ACL token to send. CONSUL_HTTP_TOKEN."),
    Flag("token-file", "A file that holds the ACL token to send. CONSUL_HTTP_TOKEN_FILE."),
)
SERVER_FLAGS = (
    Flag("datacenter", "The datacenter to ask. The default is the agent's own."),
    Flag("stale", "Let any server answer, even when its answer may be slightly old.", kind="boolean"),
)
NAMESPACE_FLAGS = (
    Flag("namespace", "Accepted for compatibility; agents without namespaces refuse any. CONSUL_NAMESPACE."),
)


class SettingsError(ValueError):
    """The flags or the environment do not add up to an address and credentials."""


@dataclass(frozen=True)
class HttpSettings:
    """A resolved way to reach an agent.

    scheme: `http`, `https` or `unix`; address: `host:port`, or the socket's path for `unix`.
    token and basic_auth (`user:password`) are secrets: they never appear in repr, messages or logs.
    """

    scheme: str
    address: str
    token: str = ""
    basic_auth: str = ""
    ca_file: str = ""
    ca_path: str = ""
    client_cert: str = ""
    client_key: str = ""
    tls_server_name: str = ""
    verify: bool = True

    def __repr__(self) -> str:
        return f"HttpSettings({self.scheme}://{self.address})"


def http_settings(flags: FlagValues, environment: Mapping[str, str]) -> HttpSettings:
    """Resolve flags and environment into settings. Reads the token file when one is named.

    Raises SettingsError naming the flag or variable that is wrong.
    """

    def chosen(flag: str, variable: str) -> str:
        return flags.text(flag) or environment.get(variable, "")

    scheme, address = _address(chosen("http-addr", "CONSUL_HTTP_ADDR") or DEFAULT_ADDRESS)
    if scheme == "http" and _switch("CONSUL_HTTP_SSL", environment, default=False):
        scheme = "https"
    return HttpSettings(
        scheme=scheme,
        address=address,
        token=_token(flags, environment),
        basic_auth=environment.get("CONSUL_HTTP_AUTH", ""),
        ca_file=chosen("ca-file", "CONSUL_CACERT"),
        ca_path=chosen("ca-path", "CONSUL_CAPATH"),
        client_cert=chosen("client-cert", "CONSUL_CLIENT_CERT"),
        client_key=chosen("client-key", "CONSUL_CLIENT_KEY"),
        tls_server_name=chosen("tls-server-name", "CONSUL_TLS_SERVER_NAME"),
        verify=_switch("CONSUL_HTTP_SSL_VERIFY", environment, default=True),
    )


def scope_parameters(flags: FlagValues, environment: Mapping[str, str]) -> dict[str, str]:
    """The `dc`, `stale` and `ns` query parameters that the flags ask for."""
    parameters = {}
    if flags.has("datacenter") and (datacenter := flags.text("datacenter")):
        parameters["dc"] = datacenter
    if flags.has("stale") and flags.boolean("stale"):
        parameters["stale"] = ""
    if flags.has("namespace"):
        namespace = flags.text("namespace") or environment.get("CONSUL_NAMESPACE", "")
        if namespace:
            parameters["ns"] = namespace
    return parameters


def _address(text: str) -> tuple[str, str]:
    scheme, separator, address = text.partition("://")
    if not separator:
        return "http", text
    if scheme not in ("http", "https", "unix"):
        raise SettingsError(f"Unknown protocol scheme: {scheme}")
    return scheme, address if scheme == "unix" else address.rstrip("/")


def _token(flags: FlagValues, environment: Mapping[str, str]) -> str:
    levels = (
        (flags.text("token-file"), flags.text("token")),
        (environment.get("CONSUL_HTTP_TOKEN_FILE", ""), environment.get("CONSUL_HTTP_TOKEN", "")),
    )
    for file, token in levels:
        if file:
            return _checked(_token_in(file), f"token file {file}")
        if token:
            return _checked(token, "token")
    return ""


def _checked(token: str, what: str) -> str:
    """The token, unless a header could not carry it. Its text must not get into the message."""
    if not (token.isascii() and token.isprintable()):
        raise SettingsError(f"the {what} holds characters that no token has; was it cut or pasted wrongly?")
    return token


def _token_in(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as stream:
            token = stream.read(MAX_TOKEN_CHARACTERS).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"Error loading token file {file}: {error}") from None
    if not token:
        raise SettingsError(f"Error loading token file {file}: it is empty")
    return token


def _switch(variable: str, environment: Mapping[str, str], *, default: bool) -> bool:
    text = environment.get(variable, "")
    if not text:
        return default
    if text in TRUE_WORDS:
        return True
    if text in FALSE_WORDS:
        return False
    raise SettingsError(f"could not parse {variable}: {text!r} is neither true nor false")
