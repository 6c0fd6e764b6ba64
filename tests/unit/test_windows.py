"""Windows of long texts: what they contain, what a store records of them, what is refused."""

from __future__ import annotations

import dataclasses
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from data_utils.errors import UserError
from data_utils.formats import Example
from data_utils.manifest import tokenizing_options
from data_utils.registries import FORMATS
from data_utils.sources import find_source
from data_utils.store import TaskStore, describe, ensure_store
from data_utils.task_def import TaskDef, Windows
from data_utils.token_rows import export_rows
from mt_dnn.publish.auto_model import build_auto_model
from mt_dnn.runs.run_dir import tasks_yaml
from mt_dnn.task_types import load_tasks
from tests.support.encoders import tiny_encoder
from tests.support.model_folders import scattered
from tests.support.tasks import make_task
from tests.support.words import WORDS

CONTENT = {1: 10 - 2, 2: 10 - 3}
"""Number of texts -> tokens of a window of 10 without special tokens."""


def encode(tokenizer, *texts: str, max_seq_len: int = 10, **windows) -> dict[str, list]:
    """The columns of one example of one or two texts."""
    form = "PremiseOnly" if len(texts) == 1 else "PremiseAndOneHypothesis"
    task = make_task(data_format=form, windows=Windows(**windows))
    example = Example("u", texts, 0)
    return FORMATS.get(form).encode([example], tokenizer, task, max_seq_len=max_seq_len)


def words(count: int, *, first: int = 0) -> str:
    return " ".join(WORDS[first : first + count])


def parts(tokenizer, ids: list[int]) -> list[list[str]]:
    """The words of each text in a window."""
    text = " ".join(tokenizer.convert_ids_to_tokens(ids))
    assert text.startswith("[CLS]")
    return [part.split() for part in text.removeprefix("[CLS]").split("[SEP]")[:-1]]


@pytest.mark.parametrize("stride", [0, 1, 3, 4, 100])
@pytest.mark.parametrize("count", [1, 8, 9, 12, 40])
def test_windows_cover_every_token_and_overlap_by_the_stride(tokenizer, count, stride):
    columns = encode(tokenizer, words(count), stride=stride)
    (windows,) = columns["input_ids"]
    found = [parts(tokenizer, ids)[0] for ids in windows]
    overlap = min(stride, CONTENT[1] // 2)
    together = found[0]
    for before, after in pairwise(found):
        assert len(before) == CONTENT[1]
        assert overlap == 0 or before[-overlap:] == after[:overlap]
        assert len(after) > overlap  # it has a token of its own
        together = together + after[overlap:]
    assert together == WORDS[:count]
    step = CONTENT[1] - overlap
    assert len(found) == 1 + max(0, -(-(count - CONTENT[1]) // step))
    assert columns["truncated"] == [False]


@pytest.mark.parametrize("long", [0, 1], ids=["premise", "hypothesis"])
def test_the_longer_text_of_a_pair_is_cut_and_the_other_repeated(tokenizer, long):
    texts = [words(2, first=50), words(2, first=50)]
    texts[long] = words(20)
    columns = encode(tokenizer, *texts, stride=2)
    (windows,), (types,) = columns["input_ids"], columns["token_type_ids"]
    room, together = CONTENT[2] - 2, []
    for ids, kinds in zip(windows, types, strict=True):
        both = parts(tokenizer, ids)
        assert both[1 - long] == WORDS[50:52]
        together += both[long][2 if together else 0 :]
        assert len(both[long]) <= room
        assert kinds == [0] * (len(both[0]) + 2) + [1] * (len(both[1]) + 1)
    assert together == WORDS[:20]
    assert len(windows) == 6  # 5 tokens, then 3 new ones in each
    assert columns["truncated"] == [False]


def test_of_two_long_texts_the_shorter_is_truncated_to_half_of_a_window(tokenizer):
    columns = encode(tokenizer, words(9, first=50), words(12), stride=0)
    (windows,) = columns["input_ids"]
    found = [parts(tokenizer, ids) for ids in windows]
    assert all(question == WORDS[50:53] for question, _ in found)
    assert [word for _, part in found for word in part] == WORDS[:12]
    assert columns["truncated"] == [True]
    equal = encode(tokenizer, words(9, first=50), words(9), stride=0)
    assert parts(tokenizer, equal["input_ids"][0][0])[0] == WORDS[50:54]  # the first one is cut


def test_the_number_of_windows_has_a_limit(tokenizer):
    whole = encode(tokenizer, words(40), stride=2)
    limited = encode(tokenizer, words(40), stride=2, max_windows=3)
    assert limited["input_ids"] == [whole["input_ids"][0][:3]]
    assert limited["truncated"] == [True]
    enough = encode(tokenizer, words(40), stride=2, max_windows=7)
    assert enough == whole
    assert len(whole["input_ids"][0]) == 7


@pytest.mark.parametrize("texts", [(words(8),), (words(3), words(4))], ids=["one", "two"])
def test_a_text_that_fits_is_the_sequence_without_windows(tokenizer, texts):
    form = "PremiseOnly" if len(texts) == 1 else "PremiseAndOneHypothesis"
    examples = [Example("u", texts, 0), Example("v", (words(1),) * len(texts), 1)]
    plain, cut = (
        FORMATS.get(form).encode(
            examples, tokenizer, make_task(data_format=form, windows=windows), max_seq_len=10
        )
        for windows in (None, Windows())
    )
    assert plain.keys() == cut.keys()
    for name in ("input_ids", "token_type_ids"):
        assert cut[name] == [[sequence] for sequence in plain[name]]
    assert all(cut[name] == plain[name] for name in ("uid", "labels", "truncated"))


def test_pairs_of_an_encoder_without_token_types_keep_theirs():
    """As RoBERTa's: two separators between the texts, and no token types."""
    ids = {"<s>": 0, "</s>": 1, "<unk>": 2, **{word: i + 3 for i, word in enumerate("abcdefgh")}}
    backend = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 1)],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
    )
    columns = encode(tokenizer, "a", "b c d e f g h", max_seq_len=8, stride=1)
    assert columns["input_ids"] == [
        [[0, 3, 1, 1, 4, 5, 6, 1], [0, 3, 1, 1, 6, 7, 8, 1], [0, 3, 1, 1, 8, 9, 10, 1]]
    ]
    assert columns["token_type_ids"] == [[[0, 0, 0, 0, 1, 1, 1, 1]] * 3]


# The store.

ROWS = f"a\t0\t{words(3)}\nb\t1\t{words(20)}\n"


def store_of(folder: Path, tokenizer, task: TaskDef, **options) -> TaskStore:
    (folder / "t_train.tsv").write_text(ROWS)
    source = find_source(task, "train", folder)
    return ensure_store(
        task,
        "train",
        source=source,
        tokenizer=tokenizer,
        max_seq_len=10,
        store_dir=folder / "store",
        **options,
    )


def test_a_store_counts_windows_and_is_stale_under_other_ones(tokenizer, tmp_path):
    task = make_task(windows=Windows(stride=2, max_windows=8))
    store = store_of(tmp_path, tokenizer, task)
    m = store.manifest
    assert (m.examples, m.sequences, m.most_windows, m.truncated, m.longest) == (2, 4, 3, 0, 10)
    assert m.tokens == 5 + (20 + 2 * 2) + 3 * 2
    assert describe(m) == (
        "t_train: 2 examples of 2 rows, in 4 windows (at most 3 per row), 8.8 tokens on average, longest 10, "
        "0 truncated at 10"
    )
    assert store.lengths.tolist() == [5, 10]
    assert [len(ids) for ids in store.take([0, 1])["input_ids"]] == [1, 3]
    assert m.options == {"windows": {"stride": 2, "max_windows": 8}}
    again = dataclasses.replace(task, windows=Windows(stride=2, max_windows=8, merge="max"))
    assert not store_of(tmp_path, tokenizer, again).is_new  # the merge does not change the store
    for other in (None, Windows(stride=1, max_windows=8), Windows(stride=2)):
        with pytest.raises(UserError, match="options: the store has"):
            store_of(tmp_path, tokenizer, dataclasses.replace(task, windows=other))
    with pytest.raises(UserError, match="tokenized rows hold one sequence per example"):
        export_rows(store, task, tmp_path / "rows.json")


def test_a_store_without_windows_is_what_it_was(tokenizer, tmp_path):
    """Its manifest may lack the count of windows, as in stores of older versions."""
    task = make_task()
    store = store_of(tmp_path, tokenizer, task)
    assert tokenizing_options(task) == store.manifest.options == {}
    assert (store.manifest.sequences, store.manifest.most_windows) == (2, 0)
    path = store.folder / "manifest.json"
    old = json.loads(path.read_text())
    del old["most_windows"]
    path.write_text(json.dumps(old))
    assert not store_of(tmp_path, tokenizer, task).is_new
    assert "windows" not in tasks_yaml({"t": task})


# The task file.

ENTRY = "t: {{data_format: {form}, task_type: {kind}, n_class: 2, metric_meta: [{metric}], windows: {windows}}}\n"


def read(folder: Path, windows: str, form="PremiseOnly", kind="Classification", metric="ACC"):
    path = folder / "tasks.yml"
    path.write_text(ENTRY.format(form=form, kind=kind, metric=metric, windows=windows))
    return load_tasks(path)["t"]


def test_the_key_and_its_defaults_survive_being_written(tmp_path):
    assert read(tmp_path, "{}").windows == Windows(32, "mean", None)
    given = read(tmp_path, "{stride: 8, merge: max, max_windows: 5}")
    assert given.windows == Windows(8, "max", 5)
    assert read(tmp_path, "null").windows is None
    path = tmp_path / "again.yml"
    for task in (given, read(tmp_path, "{}")):
        path.write_text(tasks_yaml({"t": task}))
        assert load_tasks(path)["t"].windows == task.windows


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ("mean", "windows: 'mean' is not a mapping, such as {stride: 32, merge: mean}"),
        ("{strid: 8}", "windows: unknown key 'strid'. Did you mean 'stride'?"),
        ("{stride: -1}", "windows: stride: -1; it must be a whole number of at least 0"),
        ("{stride: true}", "windows: stride: True; it must be a whole number"),
        ("{max_windows: 0}", "windows: max_windows: 0; it must be a whole number of at least 1"),
        ("{merge: [mean]}", "windows: merge: ['mean'] is not a string"),
        ("{merge: men}", "windows: merge: unknown merge of windows 'men'. Did you mean 'mean'?"),
    ],
)
def test_mistakes_name_the_key_and_its_line(tmp_path, windows, message):
    with pytest.raises(UserError, match=r"tasks.yml:1: task 't': " + re.escape(message)):
        read(tmp_path, windows)


@pytest.mark.parametrize(
    ("form", "kind", "metric", "message"),
    [
        ("MRC", "Span", "EM", "rows of MRC have no such windows"),
        ("PremiseAndMultiHypothesis", "Ranking", "ACC", "rows of PremiseAndMultiHypothesis have"),
        ("PremiseOnly", "SequenceGeneration", "EM", "which SequenceGeneration does not have"),
    ],
)
def test_formats_and_types_without_windows_are_refused(tmp_path, form, kind, metric, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, "{}", form, kind, metric)


def test_a_model_of_transformers_has_no_windows():
    model = scattered(tiny_encoder(), {"t": make_task(windows=Windows())})
    with pytest.raises(UserError, match="windows; models of transformers read one sequence"):
        build_auto_model(model, "t")
