"""The closing check of the test run sees what a test leaves behind."""

from __future__ import annotations

import subprocess
import uuid

import pytest

from tests.leftovers import SESSION_VARIABLE, look


def test_a_child_that_outlives_its_test_is_seen_by_its_environment() -> None:
    session = uuid.uuid4().hex
    before = look(session)
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, env={SESSION_VARIABLE: session})
    with child:
        assert look(session).more_than(before) == [f"processes: {child.pid} cat"]
    assert look(session).more_than(before) == []


@pytest.mark.root
def test_a_named_network_namespace_is_seen() -> None:
    name = f"left-{uuid.uuid4().hex[:8]}"
    before = look("none")
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        assert f"namespaces: {name}" in look("none").more_than(before)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
