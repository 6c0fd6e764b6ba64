"""Task files that are refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.bad_input.expect import filled

CLS = "data_format: PremiseOnly, task_type: Classification, n_class: 2, metric_meta: [ACC]"
PAIR = "data_format: PremiseAndOneHypothesis, task_type: Classification, n_class: 2, metric_meta: [ACC]"
TAGS = "data_format: PremiseOnly, task_type: MultiLabel, n_class: 2, metric_meta: [F1]"
ALIASES = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in pairwise("abcdefghi")
)
"""Ten lists, of which each has the one before ten times: 10^9 values."""
SPAN = "data_format: MRC, task_type: Span, metric_meta: [EmF1]"
# fmt: off
CASES = [
    # name, task file, message
    ("empty", "", "FOLDER/tasks.yml: the task file has no entries; expected `name: {data_format: ..., ...}`"),
    ("a comment", "# nothing\n", "FOLDER/tasks.yml: the task file has no entries; expected `name: {data_format: ..., ...}`"),
    ("a list", "- t\n", "FOLDER/tasks.yml: the task file has no entries; expected `name: {data_format: ..., ...}`"),
    ("a word", "t\n", "FOLDER/tasks.yml: the task file has no entries; expected `name: {data_format: ..., ...}`"),
    ("a tab", "t:\n\tdata_format: x\n", "FOLDER/tasks.yml:2: not valid YAML: a tab where only blanks may indent; replace it by two blanks"),
    ("open bracket", "t: {a: [1\n", "FOLDER/tasks.yml:2: not valid YAML: expected ',' or ']', but got '<stream end>'"),
    ("an unknown tag", "t: !python/object:os.system {}\n", "FOLDER/tasks.yml:1: not valid YAML: could not determine a constructor for the tag '!python/object:os.system'"),
    ("an undefined anchor", "t: *other\n", "FOLDER/tasks.yml:1: not valid YAML: found undefined alias 'other'"),
    ("an anchor in itself", "t: &a {x: *a}\n", "FOLDER/tasks.yml:1: not valid YAML: found unconstructable recursive node"),
    ("two documents", f"t: {{{CLS}}}\n---\nu: {{{CLS}}}\n", "FOLDER/tasks.yml:2: not valid YAML: expected a single document in the stream, but found another document"),
    ("a control character", "t: \x01\n", "FOLDER/tasks.yml: not valid YAML: ..."),
    ("nested 10000 deep", "t: " + "[" * 10_000 + "]" * 10_000 + "\n", "FOLDER/tasks.yml: not valid YAML: ..."),
    ("a list as key", "? [a, b]\n: x\n", "FOLDER/tasks.yml:1: a key must be a word"),
    ("a merge with a word", "t: {<<: x}\n", "FOLDER/tasks.yml:1: not valid YAML: expected a mapping or list of mappings for merging, but found scalar"),
    ("a task twice", f"t: {{{CLS}}}\nt: {{{CLS}, weight: 2}}\n", "FOLDER/tasks.yml:2: key 't' occurs twice; ..."),
    ("a key twice", f"t: {{{CLS}, n_class: 3}}\n", "FOLDER/tasks.yml:1: key 'n_class' occurs twice; ..."),
    ("an entry that is a word", "t: x\n", "FOLDER/tasks.yml:1: task 't': expected keys such as data_format, found 'x'"),
    ("an entry that is null", "t:\n", "FOLDER/tasks.yml:1: task 't': expected keys such as data_format, found None"),
    ("a number as name", f"7: {{{CLS}}}\n", "FOLDER/tasks.yml:1: task 7: 7 is not a name; use at most 100 letters, digits, - and _"),
    ("true as name", f"yes: {{{CLS}}}\n", "FOLDER/tasks.yml:1: task True: True is not a name; use at most 100 letters, digits, - and _"),
    ("a path as name", f"../t: {{{CLS}}}\n", "FOLDER/tasks.yml:1: task '../t': '../t' is not a name; use at most 100 letters, digits, - and _"),
    ("a blank in a name", f"my task: {{{CLS}}}\n", "FOLDER/tasks.yml:1: task 'my task': 'my task' is not a name; use at most 100 letters, digits, - and _"),
    ("an empty name", f"'': {{{CLS}}}\n", "FOLDER/tasks.yml:1: task '': '' is not a name; use at most 100 letters, digits, - and _"),
    ("a name in other digits", f"t\u0661: {{{CLS}}}\n", "no task of FOLDER/tasks.yml has rows in FOLDER"),
    ("no data_format", "t: {task_type: Classification, n_class: 2, metric_meta: [ACC]}\n", "FOLDER/tasks.yml:1: task 't': key 'data_format' is missing"),
    ("unknown data_format", f"t: {{{CLS.replace('PremiseOnly', 'Premise')}}}\n", "FOLDER/tasks.yml:1: task 't': unknown data_format 'Premise'. Did you mean 'PremiseOnly'? Choices: ..."),
    ("unknown task_type", f"t: {{{CLS.replace('Classification', 'Classify')}}}\n", "FOLDER/tasks.yml:1: task 't': unknown task_type 'Classify'. Did you mean 'Classification'? Choices: ..."),
    ("unknown metric", f"t: {{{CLS.replace('ACC', 'ACCURACY')}}}\n", "FOLDER/tasks.yml:1: task 't': metric_meta: unknown metric 'ACCURACY'. Did you mean 'ACC'? Choices: ..."),
    ("metrics are a number", f"t: {{{CLS.replace('[ACC]', '1')}}}\n", "FOLDER/tasks.yml:1: task 't': metric_meta: 1 is not a list of strings"),
    ("a metric in lower case", f"t: {{{CLS.replace('ACC', 'acc')}}}\n", "FOLDER/tasks.yml:1: task 't': metric_meta: unknown metric 'acc'. Did you mean 'ACC'? Choices: ..."),
    ("a wrong value of a long entry", f"# mine\nt: {{{CLS},\n  n_class: 0}}\n".replace(", n_class: 2", "", 1), "FOLDER/tasks.yml:3: task 't': n_class: 0 is outside 1..1000000"),
    ("aliases of 10^9 values", ALIASES + f"t: {{{CLS}, labels: *i}}\n", "FOLDER/tasks.yml: not valid YAML: its aliases expand to more than 100000 values"),
    ("a label of 100 words", f"t: {{{CLS}, labels: [[{', '.join(['x'] * 100)}]]}}\n", "FOLDER/tasks.yml:1: task 't': labels: ['x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', ...] is not a word or a number"),
    ("no metric", f"t: {{{CLS.replace('[ACC]', '[]')}}}\n", "FOLDER/tasks.yml:1: task 't': metric_meta is empty. Choices: ..."),
    ("a metric twice", f"t: {{{CLS.replace('[ACC]', '[ACC, ACC]')}}}\n", "FOLDER/tasks.yml:1: task 't': metric_meta: ['ACC', 'ACC'] contains a metric twice"),
    ("unknown key", f"t: {{{CLS}, labls: [a]}}\n", "FOLDER/tasks.yml:1: task 't': unknown key 'labls'. Did you mean 'labels'? Choices: ..."),
    ("a number as key", f"t: {{{CLS}, 7: 8}}\n", "FOLDER/tasks.yml:1: task 't': unknown key 7. Choices: ..."),
    ("n_class 0", f"t: {{{CLS.replace('2', '0')}}}\n", "FOLDER/tasks.yml:1: task 't': n_class: 0 is outside 1..1000000"),
    ("n_class negative", f"t: {{{CLS.replace('2', '-2')}}}\n", "FOLDER/tasks.yml:1: task 't': n_class: -2 is outside 1..1000000"),
    ("n_class 1", f"t: {{{CLS.replace('2', '1')}}}\n", "FOLDER/tasks.yml:1: task 't': n_class: 1; Classification needs at least 2"),
    ("n_class 1e11", f"t: {{{CLS.replace('2', '100000000000')}}}\n", "FOLDER/tasks.yml:1: task 't': n_class: 100000000000 is outside 1..1000000"),
    ("n_class of 5000 digits", f"t: {{{CLS.replace('2', '1' * 5000)}}}\n", "FOLDER/tasks.yml: not valid YAML: ..."),
    ("n_class is a fraction", f"t: {{{CLS.replace('2', '2.5')}}}\n", "FOLDER/tasks.yml:1: task 't': n_class: 2.5 is not a whole number"),
    ("n_class is true", f"t: {{{CLS.replace('2', 'true')}}}\n", "FOLDER/tasks.yml:1: task 't': n_class: True is not a whole number"),
    ("n_class is a word", f"t: {{{CLS.replace('2', 'two')}}}\n", "FOLDER/tasks.yml:1: task 't': n_class: 'two' is not a whole number"),
    ("labels of other number", f"t: {{{CLS}, labels: [a, b, c]}}\n", "FOLDER/tasks.yml:1: task 't': n_class: 2 but 3 labels: a, b, c. Remove n_class, which the labels give, or correct the labels"),
    ("a label twice", f"t: {{{CLS}, labels: [a, a]}}\n", "FOLDER/tasks.yml:1: task 't': labels: ['a', 'a'] contains a label twice"),
    ("a bare no", f"t: {{{CLS}, labels: [yes, no]}}\n", "FOLDER/tasks.yml:1: task 't': labels: YAML reads a bare yes, no, on, off, true, false or null as True; quote it"),
    ("labels are a word", f"t: {{{CLS}, labels: ab}}\n", "FOLDER/tasks.yml:1: task 't': labels: 'ab' is not a list of at least one label, and not auto"),
    ("labels are a mapping", f"t: {{{CLS}, labels: {{a: b}}}}\n", "FOLDER/tasks.yml:1: task 't': labels: {'a': 'b'} is not a list of at least one label, and not auto"),
    ("a label is a list", f"t: {{{CLS}, labels: [a, [b]]}}\n", "FOLDER/tasks.yml:1: task 't': labels: ['b'] is not a word or a number"),
    ("an empty label", f"t: {{{CLS}, labels: [a, '']}}\n", "FOLDER/tasks.yml:1: task 't': labels: '' is not a word or a number"),
    ("a blank label", f"t: {{{CLS}, labels: [a, '  ']}}\n", "FOLDER/tasks.yml:1: task 't': labels: '  ' is not a word or a number"),
    ("a label with outer blanks", f"t: {{{CLS}, labels: [a, ' b']}}\n", "FOLDER/tasks.yml:1: task 't': labels: ' b' begins or ends with a blank, or contains a tab, a line end or half of a surrogate pair; no row can have this label"),
    ("a label with a tab", f't: {{{CLS}, labels: [a, "b\\tc"]}}\n', "FOLDER/tasks.yml:1: task 't': labels: 'b\\tc' begins or ends with a blank, or contains a tab, a line end or half of a surrogate pair; no row can have this label"),
    ("a label with half a pair", f't: {{{CLS}, labels: [a, "\\ud83d"]}}\n', "FOLDER/tasks.yml:1: task 't': labels: '\\ud83d' begins or ends with a blank, or contains a tab, a line end or half of a surrogate pair; no row can have this label"),
    ("weight negative", f"t: {{{CLS}, weight: -1}}\n", "FOLDER/tasks.yml:1: task 't': weight: -1; it must be a number of at least 0"),
    ("weight NaN", f"t: {{{CLS}, weight: .nan}}\n", "FOLDER/tasks.yml:1: task 't': weight: nan; it must be a number of at least 0"),
    ("weight infinite", f"t: {{{CLS}, weight: .inf}}\n", "FOLDER/tasks.yml:1: task 't': weight: inf; it must be a number of at least 0"),
    ("dropout 1", f"t: {{{CLS}, dropout_p: 1}}\n", "FOLDER/tasks.yml:1: task 't': dropout_p: 1 is outside [0, 1)"),
    ("dropout NaN", f"t: {{{CLS}, dropout_p: .nan}}\n", "FOLDER/tasks.yml:1: task 't': dropout_p: nan is outside [0, 1)"),
    ("max_seq_len 7", f"t: {{{CLS}, max_seq_len: 7}}\n", "FOLDER/tasks.yml:1: task 't': max_seq_len: 7; it must be at least 8"),
    ("unknown activation", f"t: {{{CLS}, actf: tan}}\n", "FOLDER/tasks.yml:1: task 't': actf: 'tan' does not fit task_type Classification. Did you mean 'tanh'? Choices: gelu, none, relu, tanh."),
    ("unknown pooling", f"t: {{{CLS}, pooling: first}}\n", "FOLDER/tasks.yml:1: task 't': pooling: 'first' does not fit task_type Classification. Choices: attention, cls, max, mean, pair."),
    ("pair pooling of single texts", f"t: {{{CLS}, pooling: pair}}\n", "FOLDER/tasks.yml:1: task 't': pooling: pair compares two texts, and rows of PremiseOnly have one; remove it"),
    ("SAN on single texts", f"t: {{{CLS}, enable_san: true}}\n", "FOLDER/tasks.yml:1: task 't': enable_san: true compares two texts, and rows of PremiseOnly have one; remove it"),
    ("SAN is a word", f"t: {{{PAIR}, enable_san: maybe}}\n", "FOLDER/tasks.yml:1: task 't': enable_san: 'maybe' is not true or false"),
    ("threshold 5", f"t: {{{TAGS}, options: {{threshold: 5.0}}}}\n", "FOLDER/tasks.yml:1: task 't': options: threshold: 5.0; it is a probability between 0 and 1"),
    ("threshold NaN", f"t: {{{TAGS}, options: {{threshold: .nan}}}}\n", "FOLDER/tasks.yml:1: task 't': options: threshold: nan; it is a probability between 0 and 1"),
    ("threshold 0", f"t: {{{TAGS}, options: {{threshold: 0}}}}\n", "FOLDER/tasks.yml:1: task 't': options: threshold: 0; it is a probability between 0 and 1"),
    ("unknown option", f"t: {{{TAGS}, options: {{treshold: 0.5}}}}\n", "FOLDER/tasks.yml:1: task 't': options: treshold: MultiLabel on PremiseOnly has no such option. Did you mean 'threshold'? Choices: threshold."),
    ("options are a list", f"t: {{{TAGS}, options: [0.5]}}\n", "FOLDER/tasks.yml:1: task 't': options: [0.5] is not a mapping, such as {stride: 64}"),
    ("stride is a fraction", f"t: {{{SPAN}, options: {{stride: 1.5}}}}\n", "FOLDER/tasks.yml:1: task 't': options: stride: expected a whole number, got 1.5"),
    ("format of another type", f"t: {{{CLS.replace('PremiseOnly', 'MRC')}}}\n", "FOLDER/tasks.yml:1: task 't': data_format: 'MRC' does not fit task_type Classification: its rows hold answer per window, and Classification needs class per example. Choices: PremiseAndOneHypothesis, PremiseOnly. Task types for MRC: Span, SpanYN."),
    ("loss of another type", f"t: {{{CLS}, loss: MseCriterion}}\n", "FOLDER/tasks.yml:1: task 't': loss: 'MseCriterion' does not fit task_type Classification. Did you mean 'CeCriterion'? Choices: CeCriterion. Task types of PremiseOnly with MseCriterion: Regression."),
    ("unknown loss", f"t: {{{CLS}, loss: Hinge}}\n", "FOLDER/tasks.yml:1: task 't': loss: 'Hinge' does not fit task_type Classification. Choices: CeCriterion."),
    ("unknown adv_loss", f"t: {{{CLS}, adv_loss: kll}}\n", "FOLDER/tasks.yml:1: task 't': adv_loss: unknown divergence 'kll'. Did you mean 'kl'? Choices: ..."),
    ("split without a role", f"t: {{{CLS}, split_names: [train, valid]}}\n", "FOLDER/tasks.yml:1: task 't': split_names: 'valid' must end in train, dev or test, such as matched_dev; rename the split and its file"),
    ("a split twice", f"t: {{{CLS}, split_names: [train, train]}}\n", "FOLDER/tasks.yml:1: task 't': split_names: ['train', 'train'] is empty or contains a name twice"),
    ("two train splits", f"t: {{{CLS}, split_names: [a_train, b_train]}}\n", "FOLDER/tasks.yml:1: task 't': split_names: ['a_train', 'b_train'] has more than one train split. Keep one of them, and make a task of each other one: `t_2: {extends: t, head: t, split_names: [train]}`, whose rows are in t_2_train.tsv"),
    ("no splits", f"t: {{{CLS}, split_names: []}}\n", "FOLDER/tasks.yml:1: task 't': split_names: [] is empty or contains a name twice"),
    ("splits are a mapping", f"t: {{{CLS}, split_names: {{train: x}}}}\n", "FOLDER/tasks.yml:1: task 't': split_names: {'train': 'x'} is not a list of strings"),
    ("extends nothing", "t: {extends: u}\n", "FOLDER/tasks.yml:1: task 't': extends: FOLDER/tasks.yml has no task 'u'. Choices: t."),
    ("extends itself", "t: {extends: t}\n", "FOLDER/tasks.yml:1: task 't': extends forms a cycle: t -> t"),
    ("extends in a circle", "t: {extends: u}\nu: {extends: t}\n", "FOLDER/tasks.yml:1: task 't': extends forms a cycle: t -> u -> t"),
    ("extends a missing file", "t: {extends: 'no.yml#t'}\n", "task file FOLDER/no.yml does not exist"),
    ("extends a list", "t: {extends: [t]}\n", "FOLDER/tasks.yml:1: task 't': extends: FOLDER/tasks.yml has no task \"['t']\". Choices: t."),
    ("source is a word", f"t: {{{CLS}, source: x}}\n", "FOLDER/tasks.yml:1: task 't': source: 'x' is not a mapping. Choices: columns, config, delimiter, files, header, hub, quoting, revision, splits."),
    ("source of nothing", f"t: {{{CLS}, source: {{columns: {{premise: x}}}}}}\n", "FOLDER/tasks.yml:1: task 't': source: give either hub or files, and not both"),
    ("source twice", f"t: {{{CLS}, source: {{hub: x, files: {{train: y.tsv}}}}}}\n", "FOLDER/tasks.yml:1: task 't': source: give either hub or files, and not both"),
    ("source of another suffix", f"t: {{{CLS}, source: {{files: {{train: y.xls}}}}}}\n", "FOLDER/tasks.yml:1: task 't': source: files: 'y.xls' is neither .csv, .tsv nor .jsonl, nor a file of CoNLL columns (.conll, .bio, .iob, .iob2, .txt)"),
    ("source file is missing", f"t: {{{CLS}, source: {{files: {{train: y.tsv}}}}}}\n", "FOLDER/tasks.yml:1: task 't': source: file FOLDER/y.tsv does not exist"),
    ("source column unknown", f"t: {{{CLS}, source: {{hub: x, columns: {{premis: x}}}}}}\n", "FOLDER/tasks.yml:1: task 't': source: columns: unknown key 'premis'. Did you mean 'premise'? Choices: label, premise, uid."),
    ("source split unknown", f"t: {{{CLS}, source: {{hub: x, splits: {{trian: x}}}}}}\n", "FOLDER/tasks.yml:1: task 't': source: splits: unknown key 'trian'. Did you mean 'train'? Choices: dev, test, train."),
    ("hub is a number", f"t: {{{CLS}, source: {{hub: 7}}}}\n", "FOLDER/tasks.yml:1: task 't': source: hub: 7 is not a string"),
    ("hub is nowhere", f"t: {{{CLS}, source: {{hub: ./nowhere}}}}\n", "dataset './nowhere' cannot be loaded: ..."),
    ("heads that differ", f"t: {{{CLS}, head: h}}\nu: {{{CLS.replace('2', '3')}, head: h}}\n", "FOLDER/tasks.yml:2: task 'u': shares head 'h' but differs from task 't' in n_class: 3 and 2"),
    ("stores of one name", f"a: {{{CLS}, split_names: [b_train]}}\na_b: {{{CLS}, split_names: [train]}}\n", "FOLDER/tasks.yml:2: task 'a_b': the file name of its split 'train', a_b_train, is also that of split 'b_train' of task 'a'; rename one of the tasks"),
]
# fmt: on


@pytest.mark.parametrize(("text", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_bad_tasks(folder: Path, prepare: Callable, text: str, message: str) -> None:
    (folder / "tasks.yml").write_bytes(text.encode("utf-8", "surrogatepass"))
    for name in ("t", "u"):
        (folder / f"{name}_train.tsv").write_text("a\t0\tx\nb\t1\ty\n", encoding="utf-8")
    assert prepare() == (2, filled(message, folder))


def test_a_task_file_that_is_not_utf8(folder: Path, prepare: Callable) -> None:
    (folder / "tasks.yml").write_bytes("# caf\xe9\n".encode("latin-1"))
    assert prepare() == (
        2,
        filled(
            "FOLDER/tasks.yml:1: not UTF-8: byte 0xe9 after ...",
            folder,
        ),
    )


def test_a_task_file_that_is_a_folder(folder: Path, prepare: Callable) -> None:
    (folder / "tasks.yml").unlink()
    (folder / "tasks.yml").mkdir()
    assert prepare() == (
        2,
        filled("task file FOLDER/tasks.yml cannot be read: Is a directory", folder),
    )


def test_no_task_file(folder: Path, prepare: Callable) -> None:
    (folder / "tasks.yml").unlink()
    assert prepare() == (2, filled("task file FOLDER/tasks.yml does not exist", folder))


def test_a_task_named_twice(folder: Path, prepare: Callable) -> None:
    assert prepare("cls", "cls") == (
        2,
        filled("data.use: FOLDER/tasks.yml: task 'cls' is named twice", folder),
    )


def test_rows_in_two_files(folder: Path, prepare: Callable) -> None:
    (folder / "cls_train.jsonl").write_text('{"premise": "x", "label": "no"}\n')
    assert prepare("cls") == (
        2,
        filled(
            "FOLDER: the rows of cls_train are in several files: cls_train.tsv, cls_train.jsonl; keep one of them, or name it under source: files",
            folder,
        ),
    )
