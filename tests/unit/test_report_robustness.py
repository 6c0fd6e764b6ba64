"""The page's section on robustness.json: what it shows, and what a damaged file says."""

from __future__ import annotations

import copy
import json

import pytest

from data_utils.errors import UserError
from mt_dnn.reports.page import read_runs, render
from tests.support.report_runs import EVIL, Page, full_run

SCORES = {"metrics": {"ACC": 75.0}, "ece": 10.0, "loss": 0.5}
POINT = SCORES | {"divergence": 0.25}
CONTENT = {
    "seed": 0,
    "datasets": {
        "pair": {
            "task": "pair",
            "metric": "ACC",
            "rows": 8,
            "clean": SCORES,
            "perturbations": {
                "swap_letters": {
                    "options": {"rate": 0.15},
                    "changed": 50.0,
                    "metrics": {"ACC": 62.5},
                }
                | {"ece": None, "loss": None}
            },
            "attack": {"rows": 8, "steps": 3, "on_loss": False, "embedding_rms": 0.05}
            | {
                "points": [
                    {"radius": r, "relative": r / 0.05, "attack": POINT, "noise": POINT}
                    for r in (0.0, 0.01)
                ]
            },
        }
    },
    "challenges": {
        EVIL: {"task": "pair", "rows": 2, **SCORES}
        | {"groups": {"heuristic": {EVIL: {"entailment": {"rows": 2, "ACC": 75.0}}}}}
    },
}


def page_of(tmp_path, content) -> Page:
    folder = full_run(tmp_path / "run")
    (folder / "robustness.json").write_text(json.dumps(content))
    return Page(render(read_runs([folder])))


def test_the_section_shows_texts_curves_and_challenge_sets(tmp_path):
    page = page_of(tmp_path, CONTENT)
    clean, swapped = page.rows("text", "rate")
    assert clean == ["clean", "", "", "75.00", "", "10.0", "0.5"]
    assert swapped == ["swap_letters", "0.15", "50.0%", "62.50", "-12.5", "–", "–"]
    labels = [tag.get("aria-label") for name, tag in page.tags if name == "svg"]
    for title in ("ACC", "calibration error", "divergence"):
        assert f"{title} over radius" in labels
    parts = page.rows("part", "gold label")
    assert parts[0] == ["all", "", "2", "75.00"]
    assert parts[1][0].startswith("heuristic <script>")
    assert not [name for name, _ in page.tags if name == "script"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.pop("datasets"),
        lambda content: content["datasets"].update(pair=3),
        lambda content: content["datasets"]["pair"].update(rows=-1),
        lambda content: content["datasets"]["pair"]["attack"]["points"].append({"radius": 1}),
        lambda content: content.update(challenges=[]),
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage):
    content = copy.deepcopy(CONTENT)
    damage(content)
    with pytest.raises(UserError, match=r"robustness\.json is damaged"):
        page_of(tmp_path, content)
