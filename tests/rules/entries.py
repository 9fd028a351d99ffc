"""Config entries written as dicts, as a client would send them."""

from __future__ import annotations

from typing import Any

from pellucid.model.config_entries import ConfigEntry, decode_config_entry, normalize, validate
from pellucid.rules.chain_graph import EntrySet


def entry(kind: str, name: str = "", **fields: Any) -> ConfigEntry:
    """A normalized, valid entry."""
    named = {"Kind": kind, **({"Name": name} if name else {}), **fields}
    made = normalize(decode_config_entry(named))
    validate(made)
    return made


def entries(*given: ConfigEntry) -> EntrySet:
    return EntrySet(given)


HTTP_BY_DEFAULT = entry("proxy-defaults", "global", Config={"protocol": "http"})


def http(service: str) -> ConfigEntry:
    return entry("service-defaults", service, Protocol="http")


def splitter(service: str, *splits: tuple[float, dict[str, str]]) -> ConfigEntry:
    return entry(
        "service-splitter",
        service,
        Splits=[{"Weight": weight, **destination} for weight, destination in splits],
    )


def subsets(service: str, *names: str, **fields: Any) -> ConfigEntry:
    """A resolver with these subsets, told apart by the version in `Meta`."""
    return entry(
        "service-resolver",
        service,
        Subsets={name: {"Filter": f"Service.Meta.version == {name}"} for name in names},
        **fields,
    )


def redirect(service: str, **to: str) -> ConfigEntry:
    return entry("service-resolver", service, Redirect=to)


def router(service: str, *routes: tuple[str, dict[str, Any]]) -> ConfigEntry:
    """Routes by path prefix."""
    return entry(
        "service-router",
        service,
        Routes=[
            {"Match": {"HTTP": {"PathPrefix": prefix}}, "Destination": destination}
            for prefix, destination in routes
        ],
    )
