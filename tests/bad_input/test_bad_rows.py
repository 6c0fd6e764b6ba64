"""Rows that are refused as preparing reads them, in TSV and JSON lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bad_input.expect import filled
from tests.bad_input.folder import ROWS

DEEP = "[" * 10_000 + "]" * 10_000
# fmt: off
TSV = [
    # name, task, second row, message
    ("one column", "cls", b"b", "FOLDER/cls_train.tsv:2: 1 columns; expected 3, tab-separated: uid, label, premise"),
    ("too many columns", "cls", b"b\tno\tx\ty", "FOLDER/cls_train.tsv:2: 4 columns; expected 3, tab-separated: uid, label, premise"),
    ("unknown label", "cls", b"b\tnope\tx", "FOLDER/cls_train.tsv:2: label 'nope' is not a label of task 'cls'. Did you mean 'no'? Choices: no, yes."),
    ("label in other case", "cls", b"b\tYes\tx", "FOLDER/cls_train.tsv:2: label 'Yes' is not a label of task 'cls'. Did you mean 'yes'? Choices: no, yes."),
    ("no label in a labelled split", "cls", b"b\t\tx", "FOLDER/cls_train.tsv: row uid 'b' has no label, unlike the rows before it; label all rows of a split or none"),
    ("not UTF-8", "cls", "b\tno\tcaf\xe9".encode("latin-1"), "FOLDER/cls_train.tsv:2: not UTF-8: byte 0xe9 after ..."),
    ("UTF-16", "cls", "b\tno\tx".encode("utf-16"), "FOLDER/cls_train.tsv:2: not UTF-8: byte 0xff after ..."),
    ("NUL in a text", "cls", b"b\tno\tx\0y", "FOLDER/cls_train.tsv:2: column 'premise' contains the character NUL; remove it, or write the file in UTF-8"),
    ("NUL in a label", "cls", b"b\tno\0\tx", "FOLDER/cls_train.tsv:2: column 'label' contains the character NUL; remove it, or write the file in UTF-8"),
    ("surrogate bytes", "cls", b"b\tno\tx\xed\xa0\xbd", "FOLDER/cls_train.tsv:2: not UTF-8: byte 0xed after ..."),
    ("class id out of range", "ids", b"b\t3\tx", "FOLDER/ids_train.tsv:2: label 3 of task 'ids' is outside 0..2 (n_class: 3)"),
    ("class id negative", "ids", b"b\t-1\tx", "FOLDER/ids_train.tsv:2: label -1 of task 'ids' is outside 0..2 (n_class: 3)"),
    ("class id with underscore", "ids", b"b\t0_1\tx", "FOLDER/ids_train.tsv:2: label '0_1' of task 'ids' is not an integer; for label words give `labels: [...]` in the task file"),
    ("class id in other digits", "ids", "b\t\u0661\tx".encode(), "FOLDER/ids_train.tsv:2: label '١' of task 'ids' is not an integer; for label words give `labels: [...]` in the task file"),
    ("class id as float", "ids", b"b\t1.0\tx", "FOLDER/ids_train.tsv:2: label '1.0' of task 'ids' is not an integer; for label words give `labels: [...]` in the task file"),
    ("class id of 5000 digits", "ids", b"b\t" + b"1" * 5000 + b"\tx", "FOLDER/ids_train.tsv:2: label '111111111111111111111111111111111111111111111111111111111111'... of task 'ids' is not an integer; for label words give `labels: [...]` in the task file"),
    ("number nan", "num", b"b\tnan\tx", "FOLDER/num_train.tsv:2: label 'nan' of task 'num' is not a number"),
    ("number inf", "num", b"b\tinf\tx", "FOLDER/num_train.tsv:2: label 'inf' of task 'num' is not a number"),
    ("number 1e300", "num", b"b\t1e300\tx", "FOLDER/num_train.tsv:2: label '1e300' of task 'num' is outside -1e+18..1e+18: its squared error does not fit into float32"),
    ("number with underscore", "num", b"b\t1_0\tx", "FOLDER/num_train.tsv:2: label '1_0' of task 'num' is not a number"),
    ("number with comma", "num", b"b\t1,5\tx", "FOLDER/num_train.tsv:2: label '1,5' of task 'num' is not a number"),
    ("number of 5000 digits", "num", b"b\t" + b"1" * 5000 + b"\tx", "FOLDER/num_train.tsv:2: label '111111111111111111111111111111111111111111111111111111111111'... of task 'num' is not a number"),
    ("number in hexadecimal", "num", b"b\t0x10\tx", "FOLDER/num_train.tsv:2: label '0x10' of task 'num' is not a number"),
    ("number in other digits", "num", "b\t\u0661\tx".encode(), "FOLDER/num_train.tsv:2: label '١' of task 'num' is not a number"),
    ("pair without second text", "pair", b"b\t1\tx", "FOLDER/pair_train.tsv:2: 3 columns; expected 4, tab-separated: uid, label, premise, hypothesis"),
    ("unknown label in a set", "tags", b"b\tred,green\tx", "FOLDER/tags_train.tsv:2: label 'green' is not a label of task 'tags'. Did you mean 'red'? Choices: blue, red."),
    ("label set cut off", "tags", b'b\t["red"\tx', "FOLDER/tags_train.tsv:2: column 'label' is not a list: '[\"red\"'; expected a literal such as ['a', 'b']"),
    ("label set nested", "tags", b'b\t[["red"]]\tx', "FOLDER/tags_train.tsv:2: label \"['red']\" is not a label of task 'tags'. Did you mean 'red'? Choices: blue, red."),
    ("label set too deep", "tags", b"b\t" + DEEP.encode() + b"\tx", "FOLDER/tags_train.tsv:2: column 'label' is not a list: '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[['; expected a literal such as ['a', 'b']"),
    ("fewer labels than candidates", "rank", b"b\tx,y\t1\tp\tq\tr", "FOLDER/rank_train.tsv:2: 1 labels for 2 candidates; give one label for each, separated by commas, or a list"),
    ("more labels than candidates", "rank", b"b\tx,y\t1,0,0\tp\tq\tr", "FOLDER/rank_train.tsv:2: 3 labels for 2 candidates; give one label for each, separated by commas, or a list"),
    ("no candidate", "rank", b"b\tx,y\t1,0\tp", "FOLDER/rank_train.tsv:2: 4 columns; expected at least 5, tab-separated: uid, ruid, label, premise, hypothesis 1 .. N"),
    ("relevance out of range", "rank", b"b\tx,y\t1,2\tp\tq\tr", "FOLDER/rank_train.tsv:2: label 2 of task 'rank' is outside 0..1 (n_class: 2)"),
    ("relevance is a word", "rank", b"b\tx,y\t1,no\tp\tq\tr", "FOLDER/rank_train.tsv:2: label 'no' of task 'rank' is not an integer; for label words give `labels: [...]` in the task file"),
    ("relevance with a gap", "rank", b"b\tx,y\t1,\tp\tq\tr", "FOLDER/rank_train.tsv:2: 2 labels for 2 candidates; give one label for each, separated by commas, or a list"),
    ("choice without number", "pick", b"b\tx,y\t1,b\tp\tq\tr", "FOLDER/pick_train.tsv:2: label 'b' of task 'pick' is not a number"),
    ("fewer labels than words", "words", b"b\tO\tbad night", "FOLDER/words_train.tsv:2: 1 labels for 2 words; give one label for each, separated by spaces, or a list"),
    ("more labels than words", "words", b"b\tO O O\tbad night", "FOLDER/words_train.tsv:2: 3 labels for 2 words; give one label for each, separated by spaces, or a list"),
    ("unknown word label", "words", b"b\tO B-y\tbad night", "FOLDER/words_train.tsv:2: label 'B-y' is not a label of task 'words'. Did you mean 'B-x'? Choices: B-x, O."),
    ("no words", "words", b"b\tO\t ", "FOLDER/words_train.tsv:2: column 'tokens' has no words"),
    ("words cut off", "words", b'b\tO O\t["bad", "night"', "FOLDER/words_train.tsv:2: column 'tokens' is not a list: '[\"bad\", \"night\"'; expected a literal such as ['a', 'b']"),
    ("labels cut off", "words", b'b\t["O", "O"\tbad night', "FOLDER/words_train.tsv:2: column 'label' is not a list: '[\"O\", \"O\"'; expected a literal such as ['a', 'b']"),
    ("an empty word", "words", b'b\tO O\t["bad", ""]', "FOLDER/words_train.tsv:2: column 'tokens': text 2 is empty"),
    ("span without answer", "span", b"b\t0:::3:::0\tbad\twhat", "FOLDER/span_train.tsv:2: label '0:::3:::0' is not start:::end:::impossible:::answer[:::answer...], such as 3:::6:::0:::dog, or -1:::-1:::1::: if there is no answer"),
    ("span without numbers", "span", b"b\ta:::b:::0:::bad\tbad\twhat", "FOLDER/span_train.tsv:2: label 'a:::b:::0:::bad' is not start:::end:::impossible:::answer[:::answer...], such as 3:::6:::0:::dog, or -1:::-1:::1::: if there is no answer"),
    ("span past the end", "span", b"b\t0:::9:::0:::bad\tbad\twhat", "FOLDER/span_train.tsv:2: the answer is 'bad', but characters 0:9 of the document (3 characters) are 'bad'"),
    ("span of 5000 digits", "span", b"b\t" + b"9" * 5000 + b":::3:::0:::bad\tbad\twhat", "FOLDER/span_train.tsv:2: label '9999999999999999999999999999999999999999999999999999999999999999999999999999999 is not start:::end:::impossible:::answer[:::answer...], such as 3:::6:::0:::dog, or -1:::-1:::1::: if there is no answer"),
    ("span with another answer", "span", b"b\t0:::3:::0:::bat\tbad\twhat", "FOLDER/span_train.tsv:2: the answer is 'bat', but characters 0:3 of the document (3 characters) are 'bad'"),
    ("span before the start", "span", b"b\t-3:::0:::0:::bad\tbad\twhat", "FOLDER/span_train.tsv:2: the answer is 'bad', but characters -3:0 of the document (3 characters) are ''"),
    ("fewer choices than candidates", "cloze", b'b\t["x"]\tx\t0,1\tp\tq\tr', "FOLDER/cloze_train.tsv:2: column 'choice' has 1 texts for 2 hypotheses; give one for each"),
    ("no cloze candidate", "cloze", b'b\t["x"]\tx\t0,1\tp', "FOLDER/cloze_train.tsv:2: 5 columns; expected at least 6, tab-separated: uid, choice, answer, label, premise, hypothesis 1 .. N"),
    ("blank text", "text", b"b\t  ", "FOLDER/text_train.tsv:2: column 'text' is empty"),
    ("only labels that drop", "cls", b"-", "FOLDER/cls_train.tsv:2: 1 columns; expected 3, tab-separated: uid, label, premise"),
]
# fmt: on
J = '"uid": "b", "label": "no"'
# fmt: off
JSON = [
    # name, task, line, message
    ("a pretty-printed object", "cls", "{", "FOLDER/cls_train.jsonl:1: not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1); write each row as one JSON object on a line of its own, without a list around them"),
    ("a pretty-printed list", "cls", "[", "FOLDER/cls_train.jsonl:1: not JSON: Expecting value: line 1 column 2 (char 1); write each row as one JSON object on a line of its own, without a list around them"),
    ("a list", "cls", '["b", "no", "x"]', "FOLDER/cls_train.jsonl:1: expected a JSON object, found list"),
    ("a number", "cls", "7", "FOLDER/cls_train.jsonl:1: expected a JSON object, found int"),
    ("two objects on a line", "cls", "{} {}", "FOLDER/cls_train.jsonl:1: not JSON: Extra data: line 1 column 4 (char 3)"),
    ("single quotes", "cls", "{'premise': 'x'}", "FOLDER/cls_train.jsonl:1: not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ("a trailing comma", "cls", '{"premise": "x",}', "FOLDER/cls_train.jsonl:1: not JSON: Expecting property name enclosed in double quotes: line 1 column 17 (char 16)"),
    ("no text", "cls", f"{{{J}}}", "FOLDER/cls_train.jsonl:1: column 'premise' is missing; the row has label, uid"),
    ("text is null", "cls", f'{{{J}, "premise": null}}', "FOLDER/cls_train.jsonl:1: column 'premise' is null; the row has label, premise, uid"),
    ("text is NaN", "cls", f'{{{J}, "premise": NaN}}', "FOLDER/cls_train.jsonl:1: not JSON: NaN is not a JSON value; use null, or leave the key out"),
    ("text is Infinity", "cls", f'{{{J}, "premise": -Infinity}}', "FOLDER/cls_train.jsonl:1: not JSON: -Infinity is not a JSON value; use null, or leave the key out"),
    ("text is a list", "cls", f'{{{J}, "premise": ["x"]}}', "FOLDER/cls_train.jsonl:1: column 'premise' contains a list, not a text"),
    ("text is an object", "cls", f'{{{J}, "premise": {{"x": 1}}}}', "FOLDER/cls_train.jsonl:1: column 'premise' contains a dict, not a text"),
    ("text is true", "cls", f'{{{J}, "premise": true}}', "FOLDER/cls_train.jsonl:1: column 'premise' contains a bool, not a text"),
    ("half a surrogate pair", "cls", f'{{{J}, "premise": "nice \\ud83d"}}', "FOLDER/cls_train.jsonl:1: column 'premise' contains half of a surrogate pair, which is not a character; remove it"),
    ("half a surrogate pair in the uid", "cls", '{"uid": "\\ud83d", "label": "no", "premise": "x"}', "FOLDER/cls_train.jsonl:1: column 'uid' contains half of a surrogate pair, which is not a character; remove it"),
    ("NUL in a JSON text", "cls", f'{{{J}, "premise": "a\\u0000b"}}', "FOLDER/cls_train.jsonl:1: column 'premise' contains the character NUL; remove it, or write the file in UTF-8"),
    ("a key twice", "cls", f'{{{J}, "premise": "x", "premise": "y"}}', "FOLDER/cls_train.jsonl:1: not JSON: key 'premise' occurs twice"),
    ("a number of 5000 digits", "cls", f'{{{J}, "premise": {"1" * 5000}}}', "FOLDER/cls_train.jsonl:1: not JSON: a number has more than 4300 digits"),
    ("nested 10000 deep", "cls", f'{{{J}, "premise": {DEEP}}}', "FOLDER/cls_train.jsonl:1: not JSON: nested too deep"),
    ("nested 10000 deep in an unused key", "cls", f'{{{J}, "premise": "x", "meta": {DEEP}}}', "FOLDER/cls_train.jsonl:1: not JSON: nested too deep"),
    ("label is a list", "cls", '{"label": ["no"], "premise": "x"}', "FOLDER/cls_train.jsonl:1: column 'label' contains a list, not a text"),
    ("label is an object", "cls", '{"label": {"no": 1}, "premise": "x"}', "FOLDER/cls_train.jsonl:1: column 'label' contains a dict, not a text"),
    ("label is a number", "cls", '{"label": 0, "premise": "x"}', "FOLDER/cls_train.jsonl:1: label '0' is not a label of task 'cls'. Choices: no, yes."),
    ("label is false", "ids", '{"label": false, "premise": "x"}', "FOLDER/ids_train.jsonl:1: label 'False' of task 'ids' is not an integer; for label words give `labels: [...]` in the task file"),
    ("id is a fraction", "ids", '{"label": 1.5, "premise": "x"}', "FOLDER/ids_train.jsonl:1: label '1.5' of task 'ids' is not an integer; for label words give `labels: [...]` in the task file"),
    ("number is NaN", "num", '{"label": NaN, "premise": "x"}', "FOLDER/num_train.jsonl:1: not JSON: NaN is not a JSON value; use null, or leave the key out"),
    ("number is 1e999", "num", '{"label": 1e999, "premise": "x"}', "FOLDER/num_train.jsonl:1: label 'inf' of task 'num' is not a number"),
    ("number is true", "num", '{"label": true, "premise": "x"}', "FOLDER/num_train.jsonl:1: label 'True' of task 'num' is not a number"),
    ("uid is a list", "cls", '{"uid": [1], "label": "no", "premise": "x"}', "FOLDER/cls_train.jsonl:1: column 'uid' contains a list, not a text"),
    ("uid is NaN", "cls", '{"uid": NaN, "label": "no", "premise": "x"}', "FOLDER/cls_train.jsonl:1: not JSON: NaN is not a JSON value; use null, or leave the key out"),
    ("candidates are a text", "rank", '{"label": [1, 0], "premise": "x", "hypothesis": "y"}', "FOLDER/rank_train.jsonl:1: no candidates; 'hypothesis' must be a list of texts"),
    ("candidates are an object", "rank", '{"label": [1], "premise": "x", "hypothesis": {"a": 1}}', "FOLDER/rank_train.jsonl:1: no candidates; 'hypothesis' must be a list of texts"),
    ("candidates are empty", "rank", '{"label": [], "premise": "x", "hypothesis": []}', "FOLDER/rank_train.jsonl:1: no candidates; 'hypothesis' must be a list of texts"),
    ("a candidate is null", "rank", '{"label": [1, 0], "premise": "x", "hypothesis": ["y", null]}', "FOLDER/rank_train.jsonl:1: column 'hypothesis' contains a NoneType, not a text"),
    ("a candidate is a list", "rank", '{"label": [1, 0], "premise": "x", "hypothesis": ["y", ["z"]]}', "FOLDER/rank_train.jsonl:1: column 'hypothesis' contains a list, not a text"),
    ("a candidate is half a pair", "rank", '{"label": [1, 0], "premise": "x", "hypothesis": ["y", "\\ud83d"]}', "FOLDER/rank_train.jsonl:1: column 'hypothesis' contains half of a surrogate pair, which is not a character; remove it"),
    ("candidates are a number", "rank", '{"label": [1, 0], "premise": "x", "hypothesis": 7}', "FOLDER/rank_train.jsonl:1: no candidates; 'hypothesis' must be a list of texts"),
    ("relevances are nested", "rank", '{"label": [[1], 0], "premise": "x", "hypothesis": ["y", "z"]}', "FOLDER/rank_train.jsonl:1: label '[1]' of task 'rank' is not an integer; for label words give `labels: [...]` in the task file"),
    ("relevance is null", "rank", '{"label": [1, null], "premise": "x", "hypothesis": ["y", "z"]}', "FOLDER/rank_train.jsonl:1: label 'None' of task 'rank' is not an integer; for label words give `labels: [...]` in the task file"),
    ("ruid is an object", "rank", '{"ruid": {"a": 1}, "label": [1, 0], "premise": "x", "hypothesis": ["y", "z"]}', "FOLDER/rank_train.jsonl:1: column 'ruid' contains a dict, not a text"),
    ("words are an object", "words", '{"label": ["O"], "tokens": {"x": 1}}', "FOLDER/words_train.jsonl:1: column 'tokens' contains a dict, not a text"),
    ("a word is null", "words", '{"label": ["O", "O"], "tokens": ["x", null]}', "FOLDER/words_train.jsonl:1: column 'tokens' contains a NoneType, not a text"),
    ("a word is a list", "words", '{"label": ["O", "O"], "tokens": ["x", ["y"]]}', "FOLDER/words_train.jsonl:1: column 'tokens' contains a list, not a text"),
    ("a word is blank", "words", '{"label": ["O", "O"], "tokens": ["x", " "]}', "FOLDER/words_train.jsonl:1: column 'tokens': text 2 is empty"),
    ("answers are a text", "span", '{"document": "x", "question": "y", "answers": "x"}', "FOLDER/span_train.jsonl:1: 'answers' is 'x'; expected a list of {text, answer_start}, or {text: [...], answer_start: [...]}; empty lists if there is no answer"),
    ("answers are numbers", "span", '{"document": "x", "question": "y", "answers": [{"text": 1, "answer_start": 0}]}', "FOLDER/span_train.jsonl:1: 'answers' is [{'text': 1, 'answer_start': 0}]; expected a list of {text, answer_start}, or {text: [...], answer_start: [...]}; empty lists if there is no answer"),
    ("answer starts at a text", "span", '{"document": "x", "question": "y", "answers": [{"text": "x", "answer_start": "0"}]}', "FOLDER/span_train.jsonl:1: 'answers' is [{'text': 'x', 'answer_start': '0'}]; expected a list of {text, answer_start}, or {text: [...], answer_start: [...]}; empty lists if there is no answer"),
    ("answer starts at 1e30", "span", '{"document": "x", "question": "y", "answers": [{"text": "x", "answer_start": 1000000000000000000000000000000}]}', "FOLDER/span_train.jsonl:1: the answer is 'x', but characters 1000000000000000000000000000000:1000000000000000000000000000001 of the document (1 characters) are ''"),
    ("answer without a start", "span", '{"document": "x", "question": "y", "answers": [{"text": "x"}]}', "FOLDER/span_train.jsonl:1: 'answers' is [{'text': 'x'}]; expected a list of {text, answer_start}, or {text: [...], answer_start: [...]}; empty lists if there is no answer"),
    ("lists of unequal length", "span", '{"document": "x", "question": "y", "answers": {"text": ["x"], "answer_start": []}}', "FOLDER/span_train.jsonl:1: 'answers' is {'text': ['x'], 'answer_start': []}; expected a list of {text, answer_start}, or {text: [...], answer_start: [...]}; empty lists if there is no answer"),
    ("is_impossible is a text", "span", '{"document": "x", "question": "y", "is_impossible": "false"}', "FOLDER/span_train.jsonl:1: is_impossible: 'false' is not true or false"),
    ("choices are an object", "cloze", '{"premise": "x", "hypothesis": ["y"], "choice": {"a": 1}, "label": [1]}', "FOLDER/cloze_train.jsonl:1: column 'choice' contains a dict, not a text"),
    ("answer is an object", "cloze", '{"premise": "x", "hypothesis": ["y"], "answer": {"a": 1}, "label": [1]}', "FOLDER/cloze_train.jsonl:1: column 'answer' contains a dict, not a text"),
    ("label set with null", "tags", '{"premise": "x", "label": ["red", null]}', "FOLDER/tags_train.jsonl:1: label 'None' is not a label of task 'tags'. Choices: blue, red."),
    ("label set is an object", "tags", '{"premise": "x", "label": {"red": 1}}', "FOLDER/tags_train.jsonl:1: column 'label' contains a dict, not a text"),
    ("label text is a list", "write", '{"premise": "x", "label": ["y"]}', "FOLDER/write_train.jsonl:1: column 'label' contains a list, not a text"),
]
# fmt: on


@pytest.mark.parametrize(("task", "line", "message"), [c[1:] for c in TSV], ids=[c[0] for c in TSV])
def test_bad_tsv(folder: Path, prepare: Callable, task: str, line: bytes, message: str) -> None:
    path = folder / f"{task}_train.tsv"
    path.write_bytes(ROWS[task][0].encode() + b"\n" + line + b"\n")
    assert prepare(task) == (2, filled(message, folder))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.mkdir, "FOLDER/cls_train.tsv is a folder; the rows of cls_train must be a file"),
        (
            lambda path: path.symlink_to("nowhere.tsv"),
            "FOLDER/cls_train.tsv is a link to a file that does not exist: nowhere.tsv",
        ),
    ],
)
def test_rows_that_are_no_file(
    folder: Path, prepare: Callable, make: Callable, message: str
) -> None:
    (folder / "cls_train.tsv").unlink()
    make(folder / "cls_train.tsv")
    assert prepare("cls") == (2, filled(message, folder))


@pytest.mark.parametrize(
    ("task", "line", "message"), [c[1:] for c in JSON], ids=[c[0] for c in JSON]
)
def test_bad_json_lines(
    folder: Path, prepare: Callable, task: str, line: str, message: str
) -> None:
    (folder / f"{task}_train.tsv").unlink()
    (folder / f"{task}_train.jsonl").write_text(f"{line}\n", encoding="utf-8")
    assert prepare(task) == (2, filled(message, folder))
