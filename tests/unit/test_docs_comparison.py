"""docs/comparison.md: each mark of ours leads to a test, each mark of another system to a source."""

from __future__ import annotations

import re

import pytest

from tests.support.documents import ROOT, anchors, table

PAGE = ROOT / "docs" / "comparison.md"
TEXT = PAGE.read_text(encoding="utf-8")
SOURCES = dict(re.findall(r"^\[([\w-]+)\]: (\S+)$", TEXT, re.MULTILINE))
SYSTEMS = ["MT-DNN", "jiant", "tasknet", "MaChAmp", "HF"]
ROWS = table(PAGE, "capability")


def test_every_table_has_all_systems_in_one_order():
    headers = re.findall(r"^\| capability \| (.*) \|$", TEXT, re.MULTILINE)
    assert headers
    assert set(headers) == {" | ".join(["here", *SYSTEMS])}
    assert all(len(cells) == 2 + len(SYSTEMS) for cells in ROWS)
    assert len({cells[0] for cells in ROWS}) == len(ROWS)


@pytest.mark.parametrize("cells", ROWS, ids=lambda cells: cells[0])
def test_our_mark_leads_to_a_test_or_to_the_page_that_says_no(cells):
    match = re.fullmatch(r"\[(yes|partly|no)\]\(([^)#]+)\)", cells[1])
    assert match, cells[1]
    mark, target = match.groups()
    path = (PAGE.parent / target).resolve()
    assert path.is_file()
    if mark != "no":
        assert path.is_relative_to(ROOT / "tests")
        assert path.name.startswith("test_")


@pytest.mark.parametrize("cells", ROWS, ids=lambda cells: cells[0])
def test_the_marks_of_others_have_a_source(cells):
    """What was not found leads to the list of what was read of that system."""
    for system, cell in zip(SYSTEMS, cells[2:], strict=True):
        if cell.startswith("[not found]"):
            assert cell == f"[not found](#{system.lower()})"
            assert system.lower() in anchors(PAGE)
            continue
        match = re.fullmatch(r"\[(yes|partly|no)\]\[([\w-]+)\]", cell)
        assert match, cell
        assert match[2] in SOURCES, cell


def test_every_source_is_used_and_names_a_version():
    """A repository's file at a commit, or a page of documentation."""
    used = re.findall(r"\]\[([\w-]+)\]", TEXT)
    assert set(used) == set(SOURCES)
    for name, url in SOURCES.items():
        pinned = re.match(r"https://github\.com/[\w.-]+/[\w.-]+/blob/([0-9a-f]{40}|main)/\S+$", url)
        assert pinned or url.startswith("https://huggingface.co/docs/") or "/pull/" in url, name
