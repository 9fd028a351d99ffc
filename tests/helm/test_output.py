"""How helm shows things."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pellucid.helm.output import as_data, clock, release_text, table, timestamp
from pellucid.helm.release import Hook, Release, as_json, from_stored

RELEASE = Release(
    name="web",
    namespace="shop",
    revision=2,
    status="deployed",
    chart_name="demo",
    chart_version="0.1.0",
    app_version="1.4",
    last_deployed="2026-03-04T05:06:07.89Z",
    description="Upgrade complete",
    manifest="---\nkind: ConfigMap\n",
    notes="Hello.\n",
)
TEST = Hook(name="web-test", kind="Pod", path="demo/templates/t.yaml", manifest="kind: Pod", events=("test",))


def test_a_release_as_text() -> None:
    assert release_text(RELEASE) == (
        "NAME: web\n"
        "LAST DEPLOYED: Wed Mar  4 05:06:07 2026\n"
        "NAMESPACE: shop\n"
        "STATUS: deployed\n"
        "REVISION: 2\n"
        "TEST SUITE: None\n"
        "NOTES:\nHello."
    )
    assert "\nDESCRIPTION: Upgrade complete\n" in release_text(RELEASE, description=True)


def test_tests_are_shown_once_they_ran() -> None:
    assert "TEST SUITE" not in release_text(replace(RELEASE, hooks=(TEST,)))
    ran = replace(
        TEST, started_at="2026-03-04T05:06:07Z", completed_at="2026-03-04T05:06:08Z", phase="Succeeded"
    )
    assert (
        "TEST SUITE:     web-test\n"
        "Last Started:   Wed Mar  4 05:06:07 2026\n"
        "Last Completed: Wed Mar  4 05:06:08 2026\n"
        "Phase:          Succeeded\n"
    ) in release_text(replace(RELEASE, hooks=(ran,)))


def test_a_whole_release_has_its_hooks_before_its_manifest_and_notes_last() -> None:
    text = release_text(replace(RELEASE, hooks=(TEST,)), full=True)
    hooks = "HOOKS:\n---\n# Source: demo/templates/t.yaml\nkind: Pod\nMANIFEST:\n---\nkind: ConfigMap\n"
    assert text.endswith(f"{hooks}\nNOTES:\nHello.")


@pytest.mark.parametrize(
    ("rfc3339", "text"),
    [
        ("2026-11-24T09:45:20Z", "2026-11-24 09:45:20 +0000 UTC"),
        ("2026-11-24T09:45:20.25+02:00", "2026-11-24 09:45:20.25 +0200 +0200"),
    ],
)
def test_times_are_gos(rfc3339: str, text: str) -> None:
    assert timestamp(rfc3339) == text
    assert clock(rfc3339) == "Tue Nov 24 09:45:20 2026"
    assert clock("") == ""


def test_tables_are_padded_and_a_cell_is_one_line() -> None:
    assert table([("NAME", "N"), ("a\nb c", "10")]) == "NAME \tN \na b c\t10"


def test_data_is_json_on_one_line_or_yaml_with_sorted_keys() -> None:
    assert as_data({"b": [1], "a": "ü"}, "json") == '{"b":[1],"a":"ü"}'
    assert as_data({"b": [1], "a": "ü"}, "yaml") == "a: ü\nb:\n- 1"
    assert as_data(None, "yaml") == "null"


def test_a_stored_release_is_read_and_shown_as_helm_does() -> None:
    stored = {
        "summary": {"name": "web", "namespace": "shop", "revision": 1, "status": "deployed", "manifest": "m"},
        "info": {"last_deployed": "2026-03-04T05:06:07Z", "description": "Install complete", "notes": "n"},
        "config": {"a": 1},
        "hooks": [
            {
                "name": "h",
                "kind": "Job",
                "path": "p",
                "manifest": "k",
                "events": ["pre-install"],
                "last_run": {},
            }
        ],
    }
    release = from_stored(stored)
    assert release.hooks[0].events == ("pre-install",)
    shown = as_json(release)
    assert (shown["version"], shown["config"], shown["info"]["description"]) == (
        1,
        {"a": 1},
        "Install complete",
    )
