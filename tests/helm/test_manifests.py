"""Hooks and documents of what a chart renders to."""

from __future__ import annotations

import pytest

from pellucid.helm.manifests import documents, hooks_of, only

JOB = """apiVersion: batch/v1
kind: Job
metadata:
  name: before
  annotations: {"helm.sh/hook": "pre-install, pre-upgrade"}"""
PLAIN = "kind: ConfigMap\nmetadata: {name: words}\ndata: {text: 'about helm.sh/hook'}"


def test_documents_are_kept_as_they_are_written() -> None:
    assert documents(f"---\n{JOB}\n--- \n\n---\n{PLAIN}\n") == [JOB, PLAIN]
    assert documents("a: |\n  x\n  ---y\nb: 1") == ["a: |\n  x\n  ---y\nb: 1"]


def test_hooks_are_told_from_other_documents() -> None:
    (hook,) = hooks_of({"demo/templates/a.yaml": f"{JOB}\n---\n{PLAIN}", "demo/templates/NOTES.txt": "Hi."})
    assert (hook.name, hook.kind, hook.path) == ("before", "Job", "demo/templates/a.yaml")
    assert hook.events == ("pre-install", "pre-upgrade")
    assert hook.manifest == JOB


def test_documents_are_picked_by_their_template() -> None:
    one, two = (f"# Source: demo/templates/{name}.yaml\nkind: {name}" for name in ("one", "two"))
    manifest = f"---\n{one}\n---\n{two}\n"
    assert only(manifest, "demo", ("templates/two.yaml",)) == [two]
    assert only(manifest, "demo", ("templates/*.yaml",)) == [one, two]
    with pytest.raises(LookupError, match=r"could not find template templates/three\.yaml in chart"):
        only(manifest, "demo", ("templates/three.yaml",))
