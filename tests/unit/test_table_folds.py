"""Tables with folds, without training: the runs, the test, what is printed."""

from __future__ import annotations

import csv
import math
import statistics

import pytest
from scipy import stats

from mt_dnn.tables.aggregate import summarize
from mt_dnn.tables.definition import Repeat
from mt_dnn.tables.file import load_table
from mt_dnn.tables.plan import plan
from mt_dnn.tables.render import footer, grids, markdown, table_csv
from mt_dnn.tables.significance import compare, corrected_t
from mt_dnn.tables.table_plots import plot_table, training_examples

COLUMNS = {"rte.ACC": {"use": ["rte"]}}


@pytest.fixture
def crossed(make):
    def load(**changes):
        return load_table(make(**{"folds": 3, "seeds": [1, 2], "columns": COLUMNS} | changes))

    return load


def results(table, missing=()):
    """A score for each run: 50 + 10 for the second row, + the seed, + a tenth of the fold squared."""
    return {
        run.hash: {
            "hash": run.hash,
            "use": list(run.use),
            "config": run.identity,
            "scores": {"rte": {"ACC": score(run.row, run.repeat)}},
            "wall_seconds": 60.0,
            "device": "cpu",
            "commit": "abc",
            "packages": {"torch": "2"},
            "data": {"rte_train": {"sha256": "x", "rows": 90}},
        }
        for run in plan(table)
        if (run.row, run.repeat) not in missing
    }


def score(row: str, repeat: Repeat) -> float:
    first = 50.0 + repeat.seed + repeat.fold**2 / 10
    return first if row == "first" else first + 10 + repeat.seed * repeat.fold


# Runs


def test_a_run_for_every_row_seed_and_fold(crossed):
    runs = plan(crossed())
    assert [run.name for run in runs[:4]] == [
        *("first-rte-1-fold1", "with_r_s-rte-1-fold1", "first-rte-1-fold2", "with_r_s-rte-1-fold2"),
    ]
    assert len({run.hash for run in runs}) == len(runs) == 2 * 2 * 3
    for run in runs:
        own = {"data.folds": 3, "data.fold": run.repeat.fold}
        assert own.items() <= run.identity.items()
        assert own.items() <= run.config.items()


def test_without_folds_the_identity_is_what_it_was(make):
    """Results in a folder are found again."""
    for run in plan(load_table(make(columns=COLUMNS))):
        assert not {"data.folds", "data.fold"} & {*run.identity, *run.config}
        assert run.name == f"{run.row}-rte-{run.seed}"


def test_a_start_has_the_same_seed_and_fold(crossed):
    rows = {"first": {}, "tuned": {"start": "first", "optim.lr": 1.0e-3}}
    for run in plan(crossed(rows=rows)):
        if run.row == "tuned":
            assert run.start.repeat == run.repeat
            assert run.identity["model.init_from"] == run.start.name
            assert f"-fold{run.repeat.fold}-" in run.start.name


# The corrected resampled t-test


def test_the_corrected_test_by_hand():
    d = [1.0, 2.0, 4.0, 0.5, 2.5]
    mean = sum(d) / 5
    variance = sum((x - mean) ** 2 for x in d) / 4
    t = mean / math.sqrt((1 / 5 + 1 / 4) * variance)  # 5 folds: n_test / n_train = 1/4
    assert corrected_t(d, folds=5) == pytest.approx(2 * stats.t.sf(t, 4), rel=1e-12)
    assert corrected_t([-x for x in d], folds=5) == pytest.approx(corrected_t(d, folds=5))
    plain = stats.ttest_1samp(d, 0).pvalue
    assert corrected_t(d, folds=5) > 2 * plain
    assert corrected_t(d, folds=10**9) == pytest.approx(plain, rel=1e-6)


def test_pairs_have_the_same_seed_and_fold():
    first = {Repeat(s, f): 10.0 for s in (1, 2) for f in (1, 2, 3)}
    scores = {Repeat(1, 1): 11.0, Repeat(1, 2): 13.0, Repeat(2, 3): 12.0, Repeat(3, 1): 90.0}
    versus = compare(scores, first, test="paired_t", folds=3)
    assert (versus.difference, versus.n) == (2.0, 3)
    assert versus.p == pytest.approx(corrected_t([1.0, 3.0, 2.0], folds=3))


# Cells and what is printed


def test_a_cell_has_a_score_for_each_seed_and_fold(crossed):
    table = crossed()
    cells = summarize(table, plan(table), results(table)).cells
    cell = cells["with_r_s", "rte.ACC"]
    repeats = [Repeat(s, f) for s in (1, 2) for f in (1, 2, 3)]
    assert cell.scores == {repeat: score("with_r_s", repeat) for repeat in repeats}
    assert cell.mean == pytest.approx(statistics.fmean(cell.scores.values()))
    differences = [10.0 + s * f for s, f in repeats]
    assert cell.versus.n == 6
    assert cell.versus.p == pytest.approx(corrected_t(differences, folds=3))


def test_an_incomplete_seed_counts_with_the_folds_it_has(crossed):
    table = crossed()
    found = results(table, missing=[("with_r_s", Repeat(2, 3))])
    summary = summarize(table, plan(table), found)
    cell = summary.cells["with_r_s", "rte.ACC"]
    assert (cell.n, cell.versus.n) == (5, 5)
    overview, own = grids(summary)
    assert overview.rows[1][1].endswith("(n = 5)")
    assert [row[1] for row in own.rows] == ["6/6", "5/6"]
    assert summary.missing == ["with_r_s-rte-2-fold3"]


def test_what_is_printed(crossed):
    table = crossed()
    summary = summarize(table, plan(table), results(table))
    notes = footer(summary, "command")
    text = "\n".join(notes)
    for part in (
        "3-fold cross-validation of the train splits, stratified by label",
        "corrected resampled t-test (Nadeau and Bengio 2003) over these pairs",
        "best evaluation on the held-out fold",
        "median of 2 seeds, 3 folds each",
        "n: finished runs of the planned ones",
    ):
        assert part in text
    assert "dev set" not in text
    assert "## Overview: median of 2 seeds, 3 folds each" in markdown(summary, notes)
    lines = list(csv.DictReader(table_csv(summary).splitlines()))
    assert lines[0]["scores"].split()[:2] == ["1-fold1:51.1", "1-fold2:51.4"]
    assert lines[0]["n"] == "6"
    title = plot_table(summary)._suptitle.get_text()
    assert "dot: a seed and fold, bar: median of 2 seeds, 3 folds each" in title
    assert training_examples(table.columns[0], summary.results) == 60  # of 90 rows
