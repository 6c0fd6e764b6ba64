"""Test sets as columns of a table."""

from __future__ import annotations

from mt_dnn.tables.aggregate import summarize
from mt_dnn.tables.checks import evaluated
from mt_dnn.tables.file import load_table
from mt_dnn.tables.plan import plan
from mt_dnn.tables.render import footer
from tests.support.table_file import results
from tests.support.tasks import make_task


def test_a_run_scores_its_test_sets():
    task = make_task(name="trec", split_names=("train", "matched_dev", "test", "hard_test"))
    assert evaluated(task, folds=None) == (["trec_matched"], ["trec_test", "trec_hard_test"])
    assert evaluated(task, folds=5) == (["trec"], ["trec_test", "trec_hard_test"])


def test_the_footer_tells_which_scores_are_of_test_sets(make):
    columns = {"rte.ACC": {"use": ["rte"]}, "rte_test.ACC": {"use": ["rte"]}}
    table = load_table(make(columns=columns, paper=None))
    found = results(table)
    note = "the dev set selected the model of each run, whose score on the test set is reported."
    old = "\n".join(footer(summarize(table, plan(table), found), ""))
    assert note not in old, "of a version that scored no test sets"
    for result in found.values():
        result["scores"]["rte_test"] = {"ACC": 61.0}
        result["test"] = ["rte_test"]
    summary = summarize(table, plan(table), found)
    assert f"rte_test.ACC: {note}" in footer(summary, "")
    assert summary.cells["first", "rte_test.ACC"].median == 61.0
