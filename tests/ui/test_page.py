"""The web page's files fit together, and let nothing in from elsewhere."""

from __future__ import annotations

import re

import pytest

from pellucid.ui import SECURITY_POLICY, page_file


def text(name: str) -> str:
    found = page_file(name)
    assert found is not None
    return found.body.decode()


def test_the_empty_name_is_the_page() -> None:
    assert page_file("") == page_file("index.html")


@pytest.mark.parametrize("name", ["page.py", "../ui/page.js", "__init__.py", "page.js/"])
def test_nothing_else_is_given_out(name: str) -> None:
    assert page_file(name) is None


def test_every_file_the_page_asks_for_is_there() -> None:
    asked = re.findall(r'(?:href|src)="([^"]+)"', text("index.html"))
    assert sorted(asked) == ["page.css", "page.js"]
    assert all(page_file(name) for name in asked)


def test_every_element_the_script_looks_for_is_on_the_page() -> None:
    script, page = text("page.js"), text("index.html")
    looked_for = set(re.findall(r'getElementById\("([^"]+)"\)', script)) | set(
        re.findall(r'fill\("([^"]+)"', script)
    )
    assert looked_for
    assert looked_for <= set(re.findall(r'id="([^"]+)"', page))


def test_names_are_shown_as_text_never_as_markup() -> None:
    assert "innerHTML" not in text("page.js")
    assert "default-src 'none'" in SECURITY_POLICY
    assert "unsafe" not in SECURITY_POLICY
