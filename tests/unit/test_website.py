"""The site's menu, its generated pages, and its links to files outside docs/. mkdocs is not needed."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
import yaml

from mt_dnn import cli
from mt_dnn.config.parser import settings
from mt_dnn.config.run import TermConfig
from mt_dnn.listing import KINDS
from tests.support.documents import PAGES, ROOT, named
from website import reference, repository

CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def paths(entry) -> list[str]:
    """The paths in a part of the menu."""
    if isinstance(entry, str):
        return [entry]
    return [
        path
        for each in (entry.values() if isinstance(entry, dict) else entry)
        for path in paths(each)
    ]


def test_the_menu_has_every_page_once():
    menu = paths(CONFIG["nav"])
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES}
    outside = {repository.page_of(path) for path in repository.linked_files()}
    assert len(menu) == len(set(menu))
    assert set(menu) - outside == pages | set(reference.PAGES)


def test_the_site_needs_no_network():
    assert CONFIG["theme"]["font"] is False
    assert not re.search(r"https?://", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def test_a_link_out_of_docs_leads_to_the_page_of_its_file():
    text = "[a](../experiments/smart/README.md#x) and [b](../examples/one_step.ipynb), `[c](no.md)`"
    there = "[a](source/experiments/smart/README.md#x) and [b](source/examples/one_step.ipynb.md)"
    assert repository.rewrite(text, "docs/smart.md") == f"{there}, `[c](no.md)`"
    back = repository.rewrite("[a](../../docs/smart.md)", "experiments/smart/README.md")
    assert back == "[a](../../../smart.md)"
    deeper = repository.rewrite("[a](../../benchmarks/README.md)", "docs/how-to/own-task.md")
    assert deeper == "[a](../source/benchmarks/README.md)"


def test_the_name_of_a_page_becomes_its_title_and_code_stays():
    text = "| [smart.md](smart.md) |\n\n```md\n[smart.md](smart.md)\n```\n[x](https://a.b/c.md) [y](#z)"
    shown = repository.rewrite(text, "docs/index.md")
    assert shown == text.replace("[smart.md]", "[SMART]", 1)


def test_linked_files_are_found_through_documents_and_folders():
    found = repository.linked_files()
    assert "experiments/smart/study2.yml" in found  # by experiments/smart/README.md
    assert "tests/support/plugin/graded/ordinal.py" in found  # by its folder
    for path in found:
        assert repository.content(path)


def test_a_notebook_shows_code_and_outputs():
    text = repository.content("examples/one_step.ipynb")
    assert isinstance(text, str)
    assert "````python\n" in text
    assert "````text\n" in text


def test_every_setting_is_on_the_page_with_its_help():
    page = reference.configuration()
    shown = re.findall(r"^`([\w.]+)`\{ #\1 \} .*\n:   \S", page, re.MULTILINE)
    assert shown == list(dict.fromkeys(shown))
    assert set(shown) == {name for name, _ in settings()} | {
        f"terms.{field.name}" for field in fields(TermConfig)
    }
    assert "one of refuse, rebuild; default `refuse`" in page
    assert "whole number or null; default `null`" in page


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_names(kind):
    section = reference.kinds().partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    shown = re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)
    assert shown == list(KINDS[kind].registry.names())


def test_every_command_shows_its_help():
    page = reference.command_line()
    assert re.findall(r"^## mt-dnn (.*)$", page, re.MULTILINE) == list(cli.COMMANDS)
    assert page.count("```text\nusage: mt-dnn ") == len(cli.COMMANDS)
    assert "[--export_jsonl ...]" in page.partition("## mt-dnn prepare")[2].partition("## ")[0]
    assert max(map(len, page.partition("```text")[2].splitlines())) <= 120


def test_every_stable_name_is_in_the_api():
    assert re.findall(r"^::: (.*)$", reference.api(), re.MULTILINE) == named(reference.API, "name")
