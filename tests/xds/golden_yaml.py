"""Golden files: a view, and beside it the resource it makes, both as YAML that people can review."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import yaml
from envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2
from google.protobuf import json_format

from pellucid.xds import view as views
from pellucid.xds.resources import View, message_of

GOLDEN = Path(__file__).parent / "golden"
_SET_FILTER_STATE = "type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config"


class Case(msgspec.Struct, frozen=True):
    """One pair in a file. `view` has a single key, the name of a class in `pellucid.xds.view`."""

    view: dict[str, Any]
    resource: dict[str, Any] | None = None

    def decoded(self) -> View:
        """The view itself."""
        (kind, content), *_ = self.view.items()
        return msgspec.convert(content or {}, getattr(views, kind))  # type: ignore[no-any-return]


def cases(path: Path) -> list[Case]:
    """The pairs of a file, in order."""
    return msgspec.convert(yaml.safe_load(path.read_text()), list[Case])


def shown(case: Case) -> dict[str, Any]:
    """The resource that the builders make of the view now."""
    message = message_of(case.decoded())
    as_json: dict[str, Any] = json.loads(json_format.MessageToJson(message, preserving_proto_field_name=True))
    if hasattr(message, "filter_chains"):
        _show_newer_field(message, as_json)
    return as_json


def write(path: Path, pairs: list[Case]) -> None:
    """Write the file anew with what the builders make now."""
    content = [{"view": case.view, "resource": shown(case)} for case in pairs]
    comment = "".join(line for line in path.read_text().splitlines(True) if line.startswith("#"))
    path.write_text(comment + yaml.safe_dump(content, sort_keys=False, width=110))


def _show_newer_field(listener: Any, as_json: dict[str, Any]) -> None:
    """`on_downstream_tls_handshake` is newer than our generated types; it has the type of its neighbour."""
    for chain, chain_json in zip(listener.filter_chains, as_json["filter_chains"], strict=True):
        for item, item_json in zip(chain.filters, chain_json["filters"], strict=True):
            if item.typed_config.type_url == _SET_FILTER_STATE:
                neighbour = set_filter_state_pb2.Config.FromString(b"\x0a" + item.typed_config.value[1:])
                shown_as = json_format.MessageToDict(neighbour, preserving_proto_field_name=True)
                item_json["typed_config"]["on_downstream_tls_handshake"] = shown_as["on_new_connection"]
