"""The second study: its rows, and the statistics of its analysis by hand."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest

from experiments.smart import study2_analysis as analysis
from experiments.smart import study2_curve, study2_data, study2_figures


def test_sign_flips_by_hand():
    # Of the 8 assignments, +++ and --- are at least as far from 0.
    assert analysis.sign_flip_p(np.array([1.0, 2.0, 3.0])) == 2 / 8
    # Means of |1 - 1 + 4| and larger: those where 4 is not cancelled.
    assert analysis.sign_flip_p(np.array([1.0, -1.0, 4.0])) == 6 / 8
    assert analysis.sign_flip_p(np.zeros(4)) == 1.0


def test_the_interval_covers_the_mean_and_shrinks_to_it():
    low, high = analysis.bootstrap_interval(np.array([1.0, 2.0, 3.0, 4.0]))
    assert low < 2.5 < high
    assert analysis.bootstrap_interval(np.full(5, 0.7)) == pytest.approx((0.7, 0.7))


def scores_of(differences: dict[str, list[float]]) -> analysis.Scores:
    base = [(90.0, 80.0), (91.0, 82.0), (89.0, 81.0)]
    rows = {"baseline": [0.0] * 3} | differences
    return {
        row: {
            seed: {"sst2.ACC": acc + d, "stsb.Pearson": pearson - d, "sst2_typos.ACC": acc - 5 + d}
            for seed, ((acc, pearson), d) in enumerate(zip(base, added, strict=True))
        }
        for row, added in rows.items()
    }


def test_the_report_pairs_by_seed():
    lines = analysis.analyse(scores_of({"r_s_1e-5": [0.1, 0.1, 0.1], "rdrop": [1.0, 2.0, 3.0]}))
    (rdrop,) = [line for line in lines if line.startswith("| rdrop −")]
    assert "| 3 | +2.00 | -2.00 | +0.00 [+0.00, +0.00] |" in rdrop
    assert any("sst2.ACC: [+0.10, +0.10], within ±0.5." in line for line in lines)
    assert "* rdrop: sst2_typos.ACC +2.000 (3)" in lines


def test_a_seed_without_all_tasks_is_left_out():
    scores = scores_of({"rdrop": [1.0, 2.0, 3.0]})
    del scores["rdrop"][1]["stsb.Pearson"]
    seeds, differences = analysis.paired(scores, "rdrop", ["sst2.ACC", "stsb.Pearson"])
    assert seeds == [0, 2]
    assert differences.shape == (2, 2)


def test_held_out_rows_leave_the_training_set():
    rows = [[str(i), "0", f"text {i}"] for i in range(50)]
    train, dev = study2_data.held_out(rows, 20)
    assert len(dev) == 20
    assert sorted(train + dev) == sorted(rows)
    assert study2_data.held_out(rows, 20) == (train, dev)


def test_misspelling_swaps_inner_letters_of_longer_words():
    text = "an unforgettable performance of the whole cast " * 30
    changed = study2_data.misspell(text, random.Random(0))
    pairs = list(zip(text.split(), changed.split(), strict=True))
    assert all(sorted(old) == sorted(new) and old[0] == new[0] for old, new in pairs)
    longer = [(old, new) for old, new in pairs if len(old) > 3]
    assert 0.05 < np.mean([old != new for old, new in longer]) < 0.25
    assert all(old == new for old, new in pairs if len(old) <= 3)


def test_the_script_writes_every_split(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study2_data, "HELD_OUT", 2)
    for name, count in (("sst2_train", 5), ("sst2_dev", 1), ("stsb_train", 2), ("stsb_dev", 2)):
        cells = "0\tsome words" if name.startswith("sst2") else "2.5\tsome words\tother words"
        (tmp_path / f"{name}.tsv").write_text("".join(f"{i}\t{cells}\n" for i in range(count)))
    study2_data.main(["--source", str(tmp_path), "--out", str(tmp_path / "out")])
    lengths = {
        path.stem: len(path.read_text().splitlines()) for path in (tmp_path / "out").glob("*.tsv")
    }
    assert lengths == {
        **{"sst2_train": 3, "sst2_dev": 3, "sst2_typos_dev": 3},
        **{"stsb_train": 2, "stsb_dev": 2, "stsb_typos_dev": 2},
    }
    uids = [
        line.split("\t")[0] for line in (tmp_path / "out" / "sst2_dev.tsv").read_text().splitlines()
    ]
    assert len(set(uids)) == 3


def test_figures_of_a_run_by_hand(tmp_path):
    run = tmp_path / "runs" / "rdrop-sst2-1"
    (run / "predictions").mkdir(parents=True)
    (run / "scores.json").write_text("{}")
    lists = {"scores": [0.25, 0.75], "gold": "1"}
    named = {"scores": {"0": 0.5, "1": 0.5}, "gold": "0"}
    lines = "".join(json.dumps(record) + "\n" for record in (lists, named))
    (run / "predictions" / "sst2.jsonl").write_text(lines)
    steps = [{"step": 1, "smart/sst2/rho": 0.2}, {"step": 2}, {"step": 3, "smart/sst2/rho": 0.4}]
    (run / "metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    study2_figures.main([str(tmp_path)])
    found = analysis.read_figures(tmp_path)["rdrop-sst2-1"]
    assert found["nll/sst2"] == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2)
    assert found["smart/sst2/rho"] == pytest.approx(0.3)


def test_the_levels_name_rho_where_it_was_measured():
    scores = scores_of({"rdrop": [1.0, 2.0, 3.0]})
    for found in scores["rdrop"].values():
        found["smart/sst2/rho"] = 0.25
    lines = analysis.levels(scores)
    assert "| baseline | 90.00 ± 1.00 | 81.00 ± 1.00 | none, none |" in lines
    assert any(line.startswith("| rdrop |") and line.endswith("| 0.25, none |") for line in lines)


def test_the_curve_has_rows_with_a_measured_rho(tmp_path):
    scores = scores_of({"r_s_5e-4": [1.0, 2.0, 3.0], "rdrop": [0.5, 0.5, 0.5], "d_breg": [9.0] * 3})
    for row, rho in (("r_s_5e-4", 0.4), ("rdrop", 0.2)):
        for seed in scores[row]:
            scores[row][seed] |= {"smart/sst2/rho": rho + seed, "smart/stsb/rho": rho}
    rdrop, smooth = study2_curve.points(scores, "sst2")
    assert rdrop == ("rdrop", pytest.approx(1.2), 0.5, (0.5, 0.5))
    assert smooth[:3] == ("r_s_5e-4", pytest.approx(1.4), 2.0)
    study2_curve.draw(scores, tmp_path / "images" / "curve.png")
    assert (tmp_path / "images" / "curve.png").read_bytes().startswith(b"\x89PNG")
