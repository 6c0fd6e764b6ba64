"""The code of the tutorials runs as it is printed, and the picture of the ball shows what it says."""

from __future__ import annotations

import sys

from mt_dnn.registries import LOSS_TERMS
from mt_dnn.tables.file import load_table
from mt_dnn.tables.plan import plan
from tests.support.documents import ROOT, blocks
from website.ball import EPSILON, ascend, divergence

TABLE = ROOT / "docs" / "tutorials" / "paper-table.md"
PLUGIN = ROOT / "docs" / "tutorials" / "plugin.md"


def test_the_plugin_and_its_test_run(tmp_path, monkeypatch, registries):
    code, test = blocks(PLUGIN, "python")
    (tmp_path / "penalty.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "penalty", None)
    del sys.modules["penalty"]  # the next import is forgotten after the test
    exec(compile(test, "plugin.md", "exec"), {})
    assert LOSS_TERMS.get("confidence").tag == "confidence"


def test_the_table_has_six_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = tmp_path / "first_table.yml"
    path.write_text(blocks(TABLE, "yaml")[0])
    table = load_table(path)
    assert list(table.rows) == ["baseline", "fast_head"]
    assert len(plan(table)) == 6


def test_the_step_of_the_picture_leaves_the_ball_and_returns_to_a_worse_point():
    step = ascend()
    inside = {name: float(point.abs().max()) <= EPSILON for name, point in step._asdict().items()}
    assert inside == {"noise": True, "stepped": False, "projected": True}
    at_noise, at_the_end = divergence(step.noise), divergence(step.projected)
    assert float(at_the_end) > 2 * float(at_noise) > 0
