"""Tiny tasks of every data format with two training rows each."""

from __future__ import annotations

from pathlib import Path

TASKS = """\
cls: {data_format: PremiseOnly, task_type: Classification, labels: ["no", "yes"], metric_meta: [ACC]}
ids: {data_format: PremiseOnly, task_type: Classification, n_class: 3, metric_meta: [ACC]}
num: {data_format: PremiseOnly, task_type: Regression, n_class: 1, metric_meta: [Pearson]}
pair: {data_format: PremiseAndOneHypothesis, task_type: Classification, n_class: 2, metric_meta: [ACC]}
tags: {data_format: PremiseOnly, task_type: MultiLabel, labels: [red, blue], metric_meta: [F1]}
rank: {data_format: PremiseAndMultiHypothesis, task_type: Ranking, n_class: 2, metric_meta: [ACC]}
pick: {data_format: PremiseAndMultiHypothesis, task_type: MultipleChoice, n_class: 1, metric_meta: [ACC]}
words: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, B-x], metric_meta: [ACC]}
span: {data_format: MRC, task_type: Span, metric_meta: [EmF1]}
cloze: {data_format: ClozeChoice, task_type: ClozeChoice, metric_meta: [EmF1]}
text: {data_format: MLM, task_type: MaskLM, metric_meta: [ACC]}
write: {data_format: PremiseOnly, task_type: SequenceGeneration, metric_meta: [EM]}
"""
ROWS = {
    "cls": ("a\tno\tgood day", "b\tyes\tbad night"),
    "ids": ("a\t0\tgood day", "b\t2\tbad night"),
    "num": ("a\t0.5\tgood day", "b\t-2\tbad night"),
    "pair": ("a\t0\tgood\tday", "b\t1\tbad\tnight"),
    "tags": ("a\tred,blue\tgood day", "b\t[]\tbad night"),
    "rank": ("a\tx,y\t0,1\tgood\tday\tnight", "b\tx,y\t1,0\tbad\tday\tnight"),
    "pick": ("a\tx,y\t0,1\tgood\tday\tnight", "b\tx,y\t1,0\tbad\tday\tnight"),
    "words": ("a\tO B-x\tgood day", "b\tO O\tbad night"),
    "span": ("a\t0:::4:::0:::good\tgood day\twhat", "b\t-1:::-1:::1:::\tbad night\twhat"),
    "cloze": (
        'a\t["x", "y"]\t["y"]\t0,1\tgood\tday\tnight',
        'b\t["x", "y"]\t["x"]\t1,0\tbad\ta\tb',
    ),
    "text": ("a\tgood day", "b\tbad night"),
    "write": ("a\tday\tgood day", "b\tnight\tbad night"),
}


def write_folder(folder: Path) -> None:
    (folder / "tasks.yml").write_text(TASKS, encoding="utf-8")
    for task, rows in ROWS.items():
        text = "".join(f"{row}\n" for row in rows)
        (folder / f"{task}_train.tsv").write_text(text, encoding="utf-8")
