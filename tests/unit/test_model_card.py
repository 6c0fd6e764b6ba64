"""The model card: dev and test scores in tables of their own."""

from __future__ import annotations

from mt_dnn.runs.model_card import model_card


def test_test_scores_have_their_own_table():
    scores = {"rte": {"ACC": 60.0, "CMAT": [[1]]}, "rte_test": {"ACC": 58.333}}
    lines = model_card("t", "about", use="use", scores=scores, test=["rte_test"]).splitlines()
    dev, test = (
        lines.index("dataset | metric | dev score"),
        lines.index("dataset | metric | test score"),
    )
    assert lines[dev + 2 : dev + 4] == ["rte | ACC | 60.00", ""]
    assert lines[test + 2 : test + 4] == ["rte_test | ACC | 58.33", ""]
    assert "test score" not in model_card("t", "about", use="use", scores={"rte": {"ACC": 60.0}})
