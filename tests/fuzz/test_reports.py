"""Damaged run directories give a page or a UserError."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt_dnn.reports.page import read_runs, render
from tests.fuzz.damage import attempt, damaged, fuzz
from tests.support.report_runs import Page, full_run

FILES = ["config.yml", "tasks.yml", "environment.json", "scores.json", "metrics.jsonl"]
FILES += ["errors/pair.jsonl", "errors/ner.jsonl"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return full_run(tmp_path_factory.mktemp("fuzz") / "run")


@fuzz(60)
@given(name=st.sampled_from(FILES), data=st.data())
def test_pages(run: Path, name: str, data: st.DataObject) -> None:
    path = run / name
    whole = path.read_bytes()
    path.write_bytes(data.draw(damaged(whole)))
    try:
        attempt(lambda: Page(render(read_runs([run, run]))))
    finally:
        path.write_bytes(whole)
