"""The study behind new-task: its features and scores by hand, and its table as results.jsonl has it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from data_utils.errors import UserError
from experiments.new_task import study
from experiments.new_task.data_sets import DATA_SETS, DataSet, read, write_csv
from mt_dnn.new_task.rows_file import read_rows_file
from tests.support.documents import ROOT

PLACE = ROOT / "experiments" / "new_task"


def test_overlap_by_hand():
    rows = [("x", "A dog sleeps", "a dog runs fast"), ("y", "a", "b")]
    assert study.overlap(rows).toarray() == pytest.approx(
        np.array([[2 / 5, 2 / 3, 2 / 4], [0, 0, 0]])
    )


def test_scores_by_hand():
    assert study.score("ACC", ["0", "1"], [0, "0"]) == 50
    assert study.score("Pearson", ["1", "2", "3"], [3, 2, 1]) == pytest.approx(-100)
    assert study.score("F1MAC", ["a", "a", "b"], ["a", "a", "a"]) == pytest.approx(100 * 0.8 / 2)


def test_baselines_learn_what_is_easy():
    train = [("yes", "good film"), ("no", "bad film"), ("yes", "good")] * 5
    found = study.baselines(train, [("no", "bad one")], is_number=False)
    assert found == {"majority": ["yes"], "tfidf": ["no"]}
    pairs = [
        (str(n), "aa bb cc dd", " ".join(["aa", "bb", "cc", "dd"][:n])) for n in (1, 2, 3, 4)
    ] * 5
    found = study.baselines(pairs, pairs[:4], is_number=True)
    assert found.keys() == {"tfidf", "overlap", "tfidf+overlap"}
    assert study.score("Pearson", ["1", "2", "3", "4"], found["overlap"]) > 95


def test_rows_are_drawn_by_the_seed(tmp_path):
    (tmp_path / "x.tsv").write_text(
        "kind\tscore\ta\n" + "".join(f'{"ab"[i % 2]}\t{i}\ttext "{i}\n' for i in range(20))
    )
    data_set = DataSet("x.tsv", "x.tsv", ("score", "a"), is_check=True, only=("kind", "a"))
    train, test = read(tmp_path, data_set, rows=5, test_rows=99, seed=1)
    assert (len(train), len(test)) == (5, 10)
    assert read(tmp_path, data_set, rows=5, test_rows=99, seed=1)[0] == train
    assert read(tmp_path, data_set, rows=5, test_rows=99, seed=2)[0] != train
    assert data_set.is_number
    write_csv(tmp_path / "rows.csv", train)
    assert read_rows_file(tmp_path / "rows.csv").values("sentence1") == [row[1] for row in train]
    with pytest.raises(UserError, match="there is no such file; --data names"):
        read(tmp_path, DATA_SETS["rte"], rows=1, test_rows=1, seed=1)


def test_the_table_is_that_of_the_results():
    results = (PLACE / "results" / "results.jsonl").read_text().splitlines()
    assert study.table([json.loads(line) for line in results]) in (PLACE / "study.md").read_text()
