"""The transparent-proxy walkthrough's own files, unchanged, as far as one machine goes.

They are someone else's and not in this repository: the tests run wherever they lie beside the checkout, and
must run where continuous integration puts them there.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pellucid.dataplane.kuma_flags import parse_kuma_flags
from pellucid.model import hcl
from pellucid.model.config_entries import ProxyDefaults, decode_config_entry, normalize, to_json_object
from tests.walkthrough.walkthrough_files import OWN, originals


@pytest.fixture
def walkthrough() -> Path:
    return originals()


def test_its_proxy_defaults_make_proxies_transparent(walkthrough: Path) -> None:
    entry = normalize(decode_config_entry(hcl.parse((walkthrough / "defaults.hcl").read_text())))
    assert isinstance(entry, ProxyDefaults)
    assert entry.mode == "transparent"
    assert to_json_object(entry)["TransparentProxy"] == {}


@pytest.mark.parametrize("patch", ["client.yaml", "server-2.yaml"])
def test_its_redirection_arguments_are_understood(walkthrough: Path, patch: str) -> None:
    document = yaml.safe_load((walkthrough / "patches" / patch).read_text())
    (container,) = document["spec"]["template"]["spec"]["initContainers"]
    settings = parse_kuma_flags(container["args"])
    assert (settings.outbound_port, settings.inbound_port) == (15001, 20000)
    assert settings.proxy_uid == 0
    assert settings.exclude_inbound_ports == (22,)  # that tool leaves SSH alone by itself
    assert settings.exclude_outbound_ports == ()


def test_our_own_defaults_say_the_same(walkthrough: Path) -> None:
    assert hcl.parse((OWN / "defaults.hcl").read_text()) == hcl.parse(
        (walkthrough / "defaults.hcl").read_text()
    )


YAML_FILES = (
    "helm-consul-values.yaml",
    "deployments/hello-client.yaml",
    "deployments/hello-http.yaml",
    "patches/client.yaml",
    "patches/server-1.yaml",
    "patches/server-2.yaml",
)


@pytest.mark.parametrize("name", YAML_FILES)
def test_our_own_manifests_mean_the_same(walkthrough: Path, name: str) -> None:
    own = list(yaml.safe_load_all((OWN / name).read_text()))
    assert own == list(yaml.safe_load_all((walkthrough / name).read_text()))
