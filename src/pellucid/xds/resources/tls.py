"""Mutual TLS: who we are and whom we trust come by SDS, so a rotation changes no listener and no cluster.

Source: Consul 1.10 agent/xds (makeCommonTLSContext); Envoy v3 API, `extensions.transport_sockets.tls.v3`.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2
from envoy.type.matcher.v3 import string_pb2

from pellucid.xds.resources.messages import from_server, packed
from pellucid.xds.view import LEAF_SECRET, ROOTS_SECRET


def downstream_tls() -> base_pb2.TransportSocket:
    """For connections from other proxies, which must show a certificate of the mesh."""
    common = _common()
    common.validation_context_sds_secret_config.CopyFrom(_secret(ROOTS_SECRET))
    context = tls_pb2.DownstreamTlsContext(common_tls_context=common)
    context.require_client_certificate.value = True
    return base_pb2.TransportSocket(name="tls", typed_config=packed(context))


def upstream_tls(sni: str, spiffe_uris: Iterable[str]) -> base_pb2.TransportSocket:
    """For connections to other proxies; only a peer with one of these identities is believed."""
    names = [
        common_pb2.SubjectAltNameMatcher(
            san_type=common_pb2.SubjectAltNameMatcher.URI, matcher=string_pb2.StringMatcher(exact=uri)
        )
        for uri in spiffe_uris
    ]
    common = _common()
    combined = common.combined_validation_context
    combined.default_validation_context.CopyFrom(
        common_pb2.CertificateValidationContext(match_typed_subject_alt_names=names)
    )
    combined.validation_context_sds_secret_config.CopyFrom(_secret(ROOTS_SECRET))
    context = tls_pb2.UpstreamTlsContext(common_tls_context=common, sni=sni)
    return base_pb2.TransportSocket(name="tls", typed_config=packed(context))


def _common() -> tls_pb2.CommonTlsContext:
    return tls_pb2.CommonTlsContext(
        tls_params=common_pb2.TlsParameters(), tls_certificate_sds_secret_configs=[_secret(LEAF_SECRET)]
    )


def _secret(name: str) -> secret_pb2.SdsSecretConfig:
    return secret_pb2.SdsSecretConfig(name=name, sds_config=from_server())
