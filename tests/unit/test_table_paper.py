"""The rendering of a table as papers print it: ranks, marks, names, Markdown and LaTeX."""

from __future__ import annotations

import pytest
from scipy import stats

from data_utils.errors import UserError
from mt_dnn.tables.aggregate import summarize
from mt_dnn.tables.file import load_table
from mt_dnn.tables.paper_grid import paper_grid, paper_latex, paper_markdown
from mt_dnn.tables.plan import plan
from mt_dnn.tables.render import footer, latex
from mt_dnn.tables.significance import holm
from tests.support.table_file import results
from tests.support.tex import check_tex

ROWS = {"first": {}, "second": {"optim.lr": 1}, "third": {"optim.lr": 2}, "none": {"optim.lr": 3}}
SCORES = {
    "first": [50.0, 52.0, 57.0],
    "second": [60.0, 62.1, 67.0],  # differences 10, 10.1, 10: p < 0.01
    "third": [60.04, 62.0, 67.1],
}
COLUMNS = {"rte.ACC": {"use": ["rte"]}}


def summary_of(make, scores=SCORES, **changes):
    table = load_table(make(**({"rows": ROWS, "columns": COLUMNS} | changes)))
    return summarize(table, plan(table), results(table, scores))


def column(summary):
    return [row[0] for row in paper_grid(summary).cells]


def test_holm_is_the_step_down_of_its_paper():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == {"a": 0.03, "c": 0.06, "b": 0.06}
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}
    assert holm({}) == {}


def test_means_that_print_alike_share_a_rank(make):
    cells = column(summary_of(make))
    assert [(cell.mean, cell.rank) for cell in cells] == [
        *(("53.0", "second"), ("63.0", "best"), ("63.0", "best")),
        ("—", None),
    ]
    cells = column(summary_of(make, decimals=3))
    assert [cell.rank for cell in cells] == [None, "second", "best", None]
    for one in ({"first": [1.0]}, {"first": [1.0], "second": [1.01]}):
        assert [cell.rank for cell in column(summary_of(make, one))] == [None] * 4


def test_where_smaller_is_better_the_smallest_is_best(make):
    summary = summary_of(make, columns={"rte.ECE": {"use": ["rte"]}})
    assert paper_grid(summary).header == ["rte.ECE ↓"]
    for result in summary.results:
        result["scores"]["rte"]["ECE"] = result["scores"]["rte"]["ACC"]
    table = summary.table
    found = {result["hash"]: result for result in summary.results}
    cells = column(summarize(table, plan(table), found))
    assert [cell.rank for cell in cells] == ["best", "second", "second", None]


def test_marks_are_the_tables_test_adjusted_for_the_rows(make):
    summary = summary_of(make)
    p = {
        row: float(stats.ttest_rel(SCORES[row], SCORES["first"]).pvalue)
        for row in ("second", "third")
    }
    assert summary.adjusted("rte.ACC") == pytest.approx(holm(p))
    assert [cell.mark for cell in column(summary)] == ["", "**", "**", ""]
    three = {"first": [50.0, 52.0, 57.0], "second": [53.0, 54.0, 61.0], "third": [50.0, 53.0, 56.0]}
    p = float(stats.ttest_rel(three["second"], three["first"]).pvalue)
    assert 0.025 < p < 0.05, "significant alone, not among two rows"
    assert [cell.mark for cell in column(summary_of(make, three))] == [""] * 4
    two = {name: three[name] for name in ("first", "second")}
    assert [cell.mark for cell in column(summary_of(make, two))] == ["", "*", "", ""]


def test_the_caption_names_the_columns_of_test_sets(make):
    summary = summary_of(make, names={"columns": {"rte.ACC": "RTE"}})
    assert "over 3 seeds, on the dev set. Best" in paper_markdown(summary, [])
    summary.results[0]["test"] = ["rte"]
    text = paper_markdown(summary, [])
    assert "over 3 seeds, on the dev set; RTE: on the test set, dev selected. Best" in text


def test_the_row_to_compare_with_is_named(make):
    summary = summary_of(make, compare="third")
    cells = column(summary)
    assert [cell.mark for cell in cells] == ["**", "", "", ""]
    assert "differs from third with" in paper_markdown(summary, [])
    assert "mean − third" in latex(summary, []).replace("$-$", "−")


def test_markdown_and_latex_have_the_same_cells(make):
    names = {"rows": {"first": "a_b|c", "second": "100% [x] & #1"}, "columns": {"rte.ACC": "R$T^E"}}
    scores = SCORES | {"third": [40.0]}
    summary = summary_of(make, scores, names=names)
    lines = paper_markdown(summary, ["note"]).splitlines()
    assert lines[2:8] == [
        "|  | R$T^E |",
        "| --- | ---: |",
        r"| a\_b\|c | <ins>53.0</ins> ± 3.6 |",
        r"| 100% \[x\] & #1 | **63.0**\*\* ± 3.6 |",
        "| third | 40.0 (n = 1) |",
        "| none | — |",
    ]
    assert check_tex(paper_latex(summary, ["100%"], label="my table")) == [
        ["", r"R\$T\textasciicircum{}E"],
        [r"a\_b$|$c", r"\underline{53.0} {\scriptsize $\pm$ 3.6}"],
        [r"100\% {[}x{]} \& \#1", r"\textbf{63.0}$^{**}$ {\scriptsize $\pm$ 3.6}"],
        ["third", r"40.0 {\scriptsize (n = 1)}"],
        ["none", "---"],
    ]


NASTY = r"[*] ~^\_{}$#%& <|> `λ ≥ 1` → ∆"


def test_latex_escapes_whatever_a_name_holds(make):
    names = {"rows": {"first": NASTY, "second": "* x"}, "columns": {"rte.ACC": NASTY}}
    summary = summary_of(make, names=names, title=NASTY, compare="first")
    text = paper_latex(summary, [NASTY], label=NASTY)
    assert len(check_tex(text)) == 5
    assert "XeLaTeX" not in text
    assert len(check_tex(latex(summary, [NASTY]))) == 10
    chinese = summary_of(make, names={"rows": {"first": "中文"}})
    assert "% Needs XeLaTeX or LuaLaTeX and a font with these characters: 中文" in paper_latex(
        chinese, [], label="t"
    )


@pytest.mark.parametrize("line", ["a & b", "a_b", "50#", r"\foo", "{", "$x", r"\pm", "a | b", "^"])
def test_the_reader_of_latex_can_fail(line):
    tabular = rf"\begin{{tabular}}{{l}} {line} \\ \end{{tabular}}"
    with pytest.raises((AssertionError, ValueError)):
        check_tex(tabular)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compare": "frist"}, "compare: unknown row 'frist'. Did you mean 'first'"),
        ({"names": {"row": {}}}, "names: unknown key 'row'. Did you mean 'rows'"),
        ({"names": {"rows": {"x": "X"}}}, "names: rows: unknown row 'x'"),
        ({"names": {"columns": {"x": "X"}}}, "names: columns: unknown column 'x'"),
        (
            {"names": {"rows": {"first": "a\nb"}}},
            "names: rows: first: .* is not a text of one line",
        ),
        ({"names": {"rows": {"first": 3}}}, "names: rows: first: 3 is not a text of one line"),
        ({"decimals": 7}, "decimals: 7 is not a whole number from 0 to 6"),
        ({"decimals": True}, "decimals: True is not"),
    ],
)
def test_mistakes_in_the_entries_are_refused(make, changes, message):
    with pytest.raises(UserError, match=message):
        load_table(make(**changes))


def test_of_two_rows_none_is_second_best(make):
    two = {"rows": {"first": {}, "second": {"optim.lr": 1}}}
    summary = summary_of(make, {name: SCORES[name] for name in two["rows"]}, **two)
    assert [cell.rank for cell in column(summary)] == [None, "best"]
    caption = " ".join(paper_grid(summary).caption)
    assert "Best in bold." in caption
    assert "Best in bold, second best underlined." in " ".join(paper_grid(summary_of(make)).caption)
    equal = summary_of(make, {"first": [1.0], "second": [1.0]}, **two)
    assert "bold" not in " ".join(paper_grid(equal).caption)


def test_the_notes_of_the_printed_form_name_only_its_parts(make):
    paper = {"source": "a paper", "scores": {"first": {"rte.ACC": 50.0}}}
    summary = summary_of(make, paper=paper)
    full, short = (" ".join(footer(summary, "", as_printed=only)) for only in (False, True))
    for part in ("overview", "n: finished", "mean − first", "paper: a paper"):
        assert part in full
        assert part not in short
    for part in ("Score of a run", "Seeds: ", "—: missing", "Made by"):
        assert part in short


def test_the_source_of_a_paper_is_printed_without_numbers_too(make):
    summary = summary_of(make, paper={"source": "89.9 on average"})
    assert "paper: 89.9 on average." in footer(summary, "")
