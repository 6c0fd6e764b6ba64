"""The site builds strictly, and its pages load nothing from the network. It needs the extra ``docs``."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.documents import ROOT


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("material")
    pytest.importorskip("latex2mathml")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    pages = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert len(pages) > 50
    for path, text in pages.items():
        loaded = re.findall(
            r"<(?:script|img|link|iframe)[^>]*(?:src|href)=\"?(https?:[^\" >]*)", text
        )
        assert not loaded, path
    assert "<munder>" in pages[tmp_path / "tutorials" / "smart.html"]
    assert (tmp_path / "search" / "search_index.json").exists()
