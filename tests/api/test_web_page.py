"""The web page, as a browser gets it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pellucid.api.context import HttpSettings
from tests.api.serving import ServedAgent


@pytest.fixture
async def agent() -> AsyncIterator[ServedAgent]:
    served = ServedAgent(HttpSettings(ui_path="/ui/"))
    await served.start()
    yield served
    await served.stop()


async def test_the_root_leads_to_the_page(agent: ServedAgent) -> None:
    answer = await agent.client.get("/", follow_redirects=True)
    assert answer.status_code == 200
    assert answer.url.path == "/ui/"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<title>pellucid</title>" in answer.text


async def test_its_script_and_style_are_beside_it(agent: ServedAgent) -> None:
    for name, content_type in (("page.js", "text/javascript"), ("page.css", "text/css")):
        answer = await agent.client.get(f"/ui/{name}")
        assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (200, content_type)


async def test_what_is_not_there_is_not_found(agent: ServedAgent) -> None:
    assert (await agent.client.get("/ui/other")).status_code == 404
    assert (await agent.client.put("/ui/")).status_code == 405


async def test_without_a_path_there_is_no_page() -> None:
    served = ServedAgent(HttpSettings(ui_path=""))
    await served.start()
    try:
        assert (await served.client.get("/ui/")).status_code == 404
        assert (await served.client.get("/")).text == "Consul Agent"
    finally:
        await served.stop()
