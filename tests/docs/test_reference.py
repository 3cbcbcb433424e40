"""The reference says what the program does, and every link in the docs leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate import PAGES, REFERENCE

DOCS = REFERENCE.parent
PAGES_OF_PEOPLE = sorted([*DOCS.rglob("*.md"), DOCS.parent / "README.md"])


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    kept = (REFERENCE / name).read_text("utf-8")
    assert kept == PAGES[name](), f"docs/reference/{name} is out of date: make docs"


@pytest.mark.parametrize("page", PAGES_OF_PEOPLE, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        if "://" not in target and not target.startswith("/"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text("utf-8")
    for page in DOCS.rglob("*.md"):
        if page.name != "README.md" and "adr" not in page.parts:
            assert str(page.relative_to(DOCS)) in index, page
    assert "adr/" in index
