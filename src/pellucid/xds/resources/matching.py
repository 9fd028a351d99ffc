"""Parts of matchers, by which a listener chooses one of its filter chains.

Source: Envoy docs, "Matching API"; xds/type/matcher/v3/matcher.proto.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from google.protobuf import wrappers_pb2
from xds.core.v3 import extension_pb2
from xds.type.matcher.v3 import matcher_pb2

from pellucid.xds.resources.messages import packed

CHAINS_KEPT = 16_384
"""Filter chains kept to be put into the next listener: most are the same in all of them."""


def extension(name: str, config: Any) -> extension_pb2.TypedExtensionConfig:
    """An input, a condition or an action. name: for people."""
    return extension_pb2.TypedExtensionConfig(name=name, typed_config=packed(config))


BY_ADDRESS = extension("address", network_inputs_pb2.DestinationIPInput())
"""By the address a connection was going to."""
BY_PORT = extension("port", network_inputs_pb2.DestinationPortInput())
"""By the port a connection was going to."""


def original_destination() -> listener_components_pb2.ListenerFilter:
    """Finds out where a connection that the kernel redirected was going to."""
    return listener_components_pb2.ListenerFilter(
        name="envoy.filters.listener.original_dst", typed_config=packed(original_dst_pb2.OriginalDst())
    )


@lru_cache(CHAINS_KEPT)
def take_chain(name: str) -> matcher_pb2.Matcher.OnMatch:
    """The action that takes the filter chain of that name."""
    return matcher_pb2.Matcher.OnMatch(action=extension("chain", wrappers_pb2.StringValue(value=name)))
