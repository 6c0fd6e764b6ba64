"""Task files that are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bad_input.expect import filled

CLS = "data_format: PremiseOnly, task_type: Classification, n_class: 2, metric_meta: [ACC]"
PAIR = "data_format: PremiseAndOneHypothesis, task_type: Classification, n_class: 2, metric_meta: [ACC]"
TAGS = "data_format: PremiseOnly, task_type: MultiLabel, n_class: 2, metric_meta: [F1]"
SPAN = "data_format: MRC, task_type: Span, metric_meta: [EmF1]"
CASES = [
    # name, task file, message
    ("empty", "", "?"),
    ("a comment", "# nothing\n", "?"),
    ("a list", "- t\n", "?"),
    ("a word", "t\n", "?"),
    ("a tab", "t:\n\tdata_format: x\n", "?"),
    ("open bracket", "t: {a: [1\n", "?"),
    ("an unknown tag", "t: !python/object:os.system {}\n", "?"),
    ("an undefined anchor", "t: *other\n", "?"),
    ("an anchor in itself", "t: &a {x: *a}\n", "?"),
    ("two documents", f"t: {{{CLS}}}\n---\nu: {{{CLS}}}\n", "?"),
    ("a control character", "t: \x01\n", "?"),
    ("nested 10000 deep", "t: " + "[" * 10_000 + "]" * 10_000 + "\n", "?"),
    ("a list as key", "? [a, b]\n: x\n", "?"),
    ("a merge with a word", "t: {<<: x}\n", "?"),
    ("a task twice", f"t: {{{CLS}}}\nt: {{{CLS}}}\n", "?"),
    ("a key twice", f"t: {{{CLS}, n_class: 3}}\n", "?"),
    ("an entry that is a word", "t: x\n", "?"),
    ("an entry that is null", "t:\n", "?"),
    ("a number as name", f"7: {{{CLS}}}\n", "?"),
    ("true as name", f"yes: {{{CLS}}}\n", "?"),
    ("a path as name", f"../t: {{{CLS}}}\n", "?"),
    ("a blank in a name", f"my task: {{{CLS}}}\n", "?"),
    ("an empty name", f"'': {{{CLS}}}\n", "?"),
    ("a name of 300 characters", f"{'t' * 300}: {{{CLS}}}\n", "?"),
    ("a name in other digits", f"t\u0661: {{{CLS}}}\n", "?"),
    ("no data_format", "t: {task_type: Classification, n_class: 2, metric_meta: [ACC]}\n", "?"),
    ("unknown data_format", f"t: {{{CLS.replace('PremiseOnly', 'Premise')}}}\n", "?"),
    ("unknown task_type", f"t: {{{CLS.replace('Classification', 'Classify')}}}\n", "?"),
    ("unknown metric", f"t: {{{CLS.replace('ACC', 'ACCURACY')}}}\n", "?"),
    ("metrics are a number", f"t: {{{CLS.replace('[ACC]', '1')}}}\n", "?"),
    ("no metric", f"t: {{{CLS.replace('[ACC]', '[]')}}}\n", "?"),
    ("a metric twice", f"t: {{{CLS.replace('[ACC]', '[ACC, ACC]')}}}\n", "?"),
    ("unknown key", f"t: {{{CLS}, labls: [a]}}\n", "?"),
    ("a number as key", f"t: {{{CLS}, 7: 8}}\n", "?"),
    ("n_class 0", f"t: {{{CLS.replace('2', '0')}}}\n", "?"),
    ("n_class negative", f"t: {{{CLS.replace('2', '-2')}}}\n", "?"),
    ("n_class 1", f"t: {{{CLS.replace('2', '1')}}}\n", "?"),
    ("n_class 1e11", f"t: {{{CLS.replace('2', '100000000000')}}}\n", "?"),
    ("n_class of 5000 digits", f"t: {{{CLS.replace('2', '1' * 5000)}}}\n", "?"),
    ("n_class is a fraction", f"t: {{{CLS.replace('2', '2.5')}}}\n", "?"),
    ("n_class is true", f"t: {{{CLS.replace('2', 'true')}}}\n", "?"),
    ("n_class is a word", f"t: {{{CLS.replace('2', 'two')}}}\n", "?"),
    ("labels of other number", f"t: {{{CLS}, labels: [a, b, c]}}\n", "?"),
    ("a label twice", f"t: {{{CLS}, labels: [a, a]}}\n", "?"),
    ("a bare no", f"t: {{{CLS}, labels: [yes, no]}}\n", "?"),
    ("labels are a word", f"t: {{{CLS}, labels: ab}}\n", "?"),
    ("labels are a mapping", f"t: {{{CLS}, labels: {{a: b}}}}\n", "?"),
    ("a label is a list", f"t: {{{CLS}, labels: [a, [b]]}}\n", "?"),
    ("an empty label", f"t: {{{CLS}, labels: [a, '']}}\n", "?"),
    ("a blank label", f"t: {{{CLS}, labels: [a, '  ']}}\n", "?"),
    ("a label with outer blanks", f"t: {{{CLS}, labels: [a, ' b']}}\n", "?"),
    ("a label with a tab", f't: {{{CLS}, labels: [a, "b\\tc"]}}\n', "?"),
    ("a label with half a pair", f't: {{{CLS}, labels: [a, "\\ud83d"]}}\n', "?"),
    ("weight negative", f"t: {{{CLS}, weight: -1}}\n", "?"),
    ("weight 0", f"t: {{{CLS}, weight: 0}}\n", "?"),
    ("weight NaN", f"t: {{{CLS}, weight: .nan}}\n", "?"),
    ("weight infinite", f"t: {{{CLS}, weight: .inf}}\n", "?"),
    ("dropout 1", f"t: {{{CLS}, dropout_p: 1}}\n", "?"),
    ("dropout NaN", f"t: {{{CLS}, dropout_p: .nan}}\n", "?"),
    ("max_seq_len 7", f"t: {{{CLS}, max_seq_len: 7}}\n", "?"),
    ("unknown activation", f"t: {{{CLS}, actf: tan}}\n", "?"),
    ("unknown pooling", f"t: {{{CLS}, pooling: first}}\n", "?"),
    ("pair pooling of single texts", f"t: {{{CLS}, pooling: pair}}\n", "?"),
    ("SAN on single texts", f"t: {{{CLS}, enable_san: true}}\n", "?"),
    ("SAN is a word", f"t: {{{PAIR}, enable_san: maybe}}\n", "?"),
    ("threshold 5", f"t: {{{TAGS}, options: {{threshold: 5.0}}}}\n", "?"),
    ("threshold NaN", f"t: {{{TAGS}, options: {{threshold: .nan}}}}\n", "?"),
    ("threshold 0", f"t: {{{TAGS}, options: {{threshold: 0}}}}\n", "?"),
    ("unknown option", f"t: {{{TAGS}, options: {{treshold: 0.5}}}}\n", "?"),
    ("options are a list", f"t: {{{TAGS}, options: [0.5]}}\n", "?"),
    ("stride is a fraction", f"t: {{{SPAN}, options: {{stride: 1.5}}}}\n", "?"),
    ("format of another type", f"t: {{{CLS.replace('PremiseOnly', 'MRC')}}}\n", "?"),
    ("unknown loss", f"t: {{{CLS}, loss: Hinge}}\n", "?"),
    ("unknown adv_loss", f"t: {{{CLS}, adv_loss: kll}}\n", "?"),
    ("split without a role", f"t: {{{CLS}, split_names: [train, valid]}}\n", "?"),
    ("a split twice", f"t: {{{CLS}, split_names: [train, train]}}\n", "?"),
    ("two train splits", f"t: {{{CLS}, split_names: [a_train, b_train]}}\n", "?"),
    ("no splits", f"t: {{{CLS}, split_names: []}}\n", "?"),
    ("splits are a mapping", f"t: {{{CLS}, split_names: {{train: x}}}}\n", "?"),
    ("extends nothing", "t: {extends: u}\n", "?"),
    ("extends itself", "t: {extends: t}\n", "?"),
    ("extends in a circle", "t: {extends: u}\nu: {extends: t}\n", "?"),
    ("extends a missing file", "t: {extends: 'no.yml#t'}\n", "?"),
    ("extends a list", "t: {extends: [t]}\n", "?"),
    ("source is a word", f"t: {{{CLS}, source: x}}\n", "?"),
    ("source of nothing", f"t: {{{CLS}, source: {{columns: {{premise: x}}}}}}\n", "?"),
    ("source twice", f"t: {{{CLS}, source: {{hub: x, files: {{train: y.tsv}}}}}}\n", "?"),
    ("source of another suffix", f"t: {{{CLS}, source: {{files: {{train: y.csv}}}}}}\n", "?"),
    ("source file is missing", f"t: {{{CLS}, source: {{files: {{train: y.tsv}}}}}}\n", "?"),
    ("source column unknown", f"t: {{{CLS}, source: {{hub: x, columns: {{premis: x}}}}}}\n", "?"),
    ("source split unknown", f"t: {{{CLS}, source: {{hub: x, splits: {{trian: x}}}}}}\n", "?"),
    ("hub is a number", f"t: {{{CLS}, source: {{hub: 7}}}}\n", "?"),
    ("hub is nowhere", f"t: {{{CLS}, source: {{hub: ./nowhere}}}}\n", "?"),
    ("heads that differ", f"t: {{{CLS}, head: h}}\nu: {{{CLS.replace('2', '3')}, head: h}}\n", "?"),
    ("head with a dot", f"t: {{{CLS}, head: a.b}}\n", "?"),
    ("head with a slash", f"t: {{{CLS}, head: a/b}}\n", "?"),
    ("head is empty", f"t: {{{CLS}, head: ''}}\n", "?"),
    (
        "stores of one name",
        f"a: {{{CLS}, split_names: [b_train]}}\na_b: {{{CLS}, split_names: [train]}}\n",
        "?",
    ),
]


@pytest.mark.parametrize(("text", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_bad_tasks(folder: Path, prepare: Callable, text: str, message: str) -> None:
    (folder / "tasks.yml").write_bytes(text.encode("utf-8", "surrogatepass"))
    for name in ("t", "u"):
        (folder / f"{name}_train.tsv").write_text("a\t0\tx\nb\t1\ty\n", encoding="utf-8")
    assert prepare() == (2, filled(message, folder))


def test_a_task_file_that_is_not_utf8(folder: Path, prepare: Callable) -> None:
    (folder / "tasks.yml").write_bytes("# caf\xe9\n".encode("latin-1"))
    assert prepare() == (2, filled("?", folder))


def test_a_task_file_that_is_a_folder(folder: Path, prepare: Callable) -> None:
    (folder / "tasks.yml").unlink()
    (folder / "tasks.yml").mkdir()
    assert prepare() == (2, filled("?", folder))


def test_no_task_file(folder: Path, prepare: Callable) -> None:
    (folder / "tasks.yml").unlink()
    assert prepare() == (2, filled("?", folder))


def test_a_task_named_twice(folder: Path, prepare: Callable) -> None:
    assert prepare("cls", "cls") == (2, filled("?", folder))


def test_rows_in_two_files(folder: Path, prepare: Callable) -> None:
    (folder / "cls_train.jsonl").write_text('{"premise": "x", "label": "no"}\n')
    assert prepare("cls") == (2, filled("?", folder))
