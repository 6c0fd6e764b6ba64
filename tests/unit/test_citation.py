"""CITATION.cff names this version and the papers of the two methods."""

from __future__ import annotations

import tomllib

import yaml

from tests.support.documents import ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_it_has_what_the_format_requires():
    assert CITATION["cff-version"] == "1.2.0"
    for entry in (CITATION, *CITATION["references"]):
        assert entry["title"]
        assert entry["authors"]
    assert {"message", "type"} <= set(CITATION)


def test_version_and_license_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert CITATION["version"] == project["version"]
    assert CITATION["license"] == project["license"]


def test_both_papers_are_named():
    found = {reference["identifiers"][0]["value"] for reference in CITATION["references"]}
    assert found == {"arXiv:1901.11504", "arXiv:1911.03437"}
