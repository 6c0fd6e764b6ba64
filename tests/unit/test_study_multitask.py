"""The study of multi-task training: its rows, and its analysis by hand."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from experiments.multitask import analysis, prepare


def scores_of(rows: dict[str, list[float]]):
    """Scores in which every task has the value of the seed."""
    return {
        row: {seed: dict.fromkeys(analysis.COLUMNS, value) for seed, value in enumerate(values)}
        for row, values in rows.items()
    }


def test_contrasts_pair_the_seeds_that_both_rows_have():
    scores = scores_of({"single": [70.0, 72.0, 74.0], "mixed": [71.0, 74.0]})
    scores["mixed"][1]["rte.ACC"] = 67.0  # five points below single, six tasks two points above
    *_, line = analysis.differences(scores)
    cells = [cell.strip() for cell in line.strip("| ").split("|")]
    assert cells[:2] == ["mixed − single", "2"]
    assert cells[2].startswith("-2.00 [-5.00, +1.00]")  # RTE: +1 and -5
    assert cells[3].startswith("+1.50 [+1.00, +2.00]")
    assert cells[9].startswith("+1.00 [")  # mean of +1 and (6 * 2 - 5) / 7 = 1
    assert float(cells[10]) == 0.5  # 2 of the 4 assignments of signs


def test_a_seed_without_all_tasks_is_left_out():
    scores = scores_of({"single": [70.0, 72.0]})
    del scores["single"][0]["qnli.ACC"]
    assert list(analysis.complete(scores, "single")) == [1]
    assert "| single | 1 | 72.0 ± nan |" in analysis.levels(scores)[2]


def test_added_dev_rows_are_no_training_rows(monkeypatch):
    monkeypatch.setitem(prepare.TRAIN, "sst2", 20)
    monkeypatch.setitem(prepare.FROM_TRAIN, "sst2", 10)
    train = [(str(number), "0", f"train {number}") for number in range(50)]
    dev = [(str(number), "1", f"dev {number}") for number in range(5)]
    made = prepare.splits("sst2", train, dev)
    assert len(made["train"]) == 20
    assert len(made["dev"]) == 15
    assert len({uid for uid, *_ in made["dev"]}) == 15
    texts = [cells[-1] for rows in made.values() for cells in rows]
    assert len(texts) == len(set(texts))
    assert made == prepare.splits("sst2", train, dev)


def test_quotes_are_text_unless_fields_are_quoted(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text('a\tb\tlabel\n"Open\tend"\t1\n"with ""tab"\tend\t0\n', encoding="utf-8")
    columns = ("a", "b", "label")
    plain = prepare.read_pairs(path, columns, quoted=False)
    assert [row[2] for row in plain] == ['"Open', '"with ""tab"']
    path.write_text('a\tb\tlabel\n"with ""word"""\tend\t0\n', encoding="utf-8")
    assert prepare.read_pairs(path, columns, quoted=True) == [("0", "0", 'with "word"', "end")]


def test_a_missing_column_is_named(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("a\tb\n1\t2\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"rows.tsv:1: no column label"):
        prepare.read_pairs(path, ("a", "b", "label"), quoted=False)
