"""experiments/squad: offsets hold in the cleaned document, and what cannot hold is named."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from data_utils.canonical import clean_text
from data_utils.errors import UserError
from experiments.squad import prepare as squad
from experiments.squad.evaluate import evaluate
from experiments.squad.prepare import TASK_FILE, prepare
from experiments.squad.questions import cleaned_offset, nearest
from mt_dnn.config.parser import parse_config
from mt_dnn.task_types import load_tasks
from tests.support.files import rows, write_text

DOCUMENT = "\n  Warsaw\tis big.\n\nThe capital\u2028of Poland is Warsaw; it is old. "


def entry(uid: str, *answers: tuple[str, int], **others: Any) -> dict[str, Any]:
    found = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": uid, "question": f"What is\n{uid}?", "answers": found, **others}


def article(document: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"title": "T", "paragraphs": [{"context": document, "qas": list(entries)}]}


def write_articles(path: Path, *articles: dict[str, Any]) -> Path:
    return write_text(path, json.dumps({"version": "1.1", "data": articles}))


def spans(path: Path) -> dict[str, list[str]]:
    """uid -> what the row's offsets cut out of its document, then the answers that it lists."""
    found = {}
    for uid, label, document, _ in rows(path):
        start, end, impossible, *answers = label.split(":::")
        assert impossible == "0"
        found[uid] = [document[int(start) : int(end)], *answers]
    return found


def test_every_character_keeps_its_place_through_cleaning():
    rng = random.Random(0)
    for _ in range(300):
        text = "".join(rng.choices("ab \t\n\r\x1d\u2028\x85", k=rng.randrange(1, 25)))
        document = clean_text(text)
        for offset, character in enumerate(text):
            if not character.isspace():
                place = cleaned_offset(text, offset)
                assert document[place] == character
                before = sum(not c.isspace() for c in text[:offset])
                assert sum(not c.isspace() for c in document[:place]) == before


def test_nearest_occurrence():
    text = "aaa b aaa"
    places = (0, 1, 3, 4, 9, 99)
    assert [nearest("aa", text, place) for place in places] == [0, 1, 1, 6, 7, 7]
    assert nearest("c", text, 0) is None
    assert nearest("", text, 0) is None


def test_offsets_hold_in_the_cleaned_document(raw, out, capsys):
    at = DOCUMENT.index
    write_articles(
        raw / "train-v1.1.json",
        article(
            DOCUMENT,
            entry("first", ("Warsaw", at("Warsaw"))),
            entry("second", ("Warsaw", DOCUMENT.rindex("Warsaw"))),
            entry("over\u2028lines", ("big.\n\nThe capital\u2028of", at("big"))),
            entry("padded", (" \tis big. ", at("\tis") - 1)),
        ),
    )
    prepare(str(raw), str(out), "squad")
    assert spans(out / "squad_train.tsv") == {
        "first": ["Warsaw", "Warsaw"],
        "second": ["Warsaw", "Warsaw"],
        "over lines": ["big. The capital of", "big. The capital of"],
        "padded": ["is big.", "is big."],
    }
    labels = [row[1] for row in rows(out / "squad_train.tsv")]
    assert labels[:2] == ["0:::6:::0:::Warsaw", "40:::46:::0:::Warsaw"]
    assert {row[2] for row in rows(out / "squad_train.tsv")} == {clean_text(DOCUMENT)}
    assert rows(out / "squad_train.tsv")[0][3] == "What is first?"
    printed = capsys.readouterr().out
    assert "skipped" not in printed
    assert "nearest" not in printed


def test_an_offset_that_is_off_is_mended_and_named(raw, out, capsys):
    write_articles(
        raw / "train-v1.1.json",
        article("one two one two", entry("q1", ("two", 11), ("two", 4)), entry("q2", ("one", 6))),
    )
    path = raw / "train-v1.1.json"
    prepare(str(raw), str(out), "squad")
    labels = [row[1] for row in rows(out / "squad_train.tsv")]
    assert labels == ["12:::15:::0:::two", "8:::11:::0:::one"]
    printed = capsys.readouterr().out
    assert "squad train: 2 answers moved to the nearest occurrence" in printed
    assert f"{path}: question q1: answer 'two' is +1 characters away from its offset" in printed


def test_answers_that_cannot_be_are_left_out_and_named(raw, out, capsys):
    write_articles(
        raw / "dev-v1.1.json",
        article(
            "a ::: b c",
            entry("none", ("zebra", 0)),
            entry("some", ("zebra", 0), ("c", 8), ("b", 6), ("c", 8), (" c", 7)),
            entry("parted", ("a ::: b", 0)),
            entry("empty"),
        ),
    )
    prepare(str(raw), str(out), "squad")
    assert rows(out / "squad_dev.tsv") == [
        ["some", "8:::9:::0:::c:::b", "a ::: b c", "What is some?"]
    ]
    printed = capsys.readouterr().out
    assert "squad skipped 3 lines" in printed
    assert "question empty: no answer occurs in the document" in printed
    assert "squad dev: 3 answers left out" in printed
    assert "question some: answer 'zebra' is not in the document" in printed
    assert "answer 'a ::: b' contains ':::'" in printed


def test_unanswerable_questions(raw, out, capsys):
    no = entry("no", is_impossible=True, plausible_answers=[{"text": "b", "answer_start": 2}])
    both = article("a b", no, entry("yes", ("b", 2), is_impossible=False))
    for name in ("train-v2.0.json", "dev-v1.1.json"):
        write_articles(raw / name, both)
    prepare(str(raw), str(out))
    labels = [row[1] for row in rows(out / "squad2_train.tsv")]
    assert labels == ["-1:::-1:::1:::", "2:::3:::0:::b"]
    assert [row[0] for row in rows(out / "squad_dev.tsv")] == ["yes"]
    printed = capsys.readouterr().out
    assert "question no: is_impossible, which only task squad2 supports" in printed
    assert f"squad2 dev: no file dev-v2.0.json or squad2_dev_half.json in {raw}" in printed


def test_ids_that_repeat_give_way_to_numbers(raw, out, capsys):
    articles = [article("a", entry("0", ("a", 0))), article("b", entry("0", ("b", 0)))]
    write_articles(raw / "tydiqa.goldp.en.train.json", *articles)
    prepare(str(raw), str(out), "tydiqa")
    assert spans(out / "tydiqa_train.tsv") == {"0": ["a", "a"], "1": ["b", "b"]}
    assert "ids repeat" in capsys.readouterr().out


def test_a_file_without_answers_is_no_split(raw, out, capsys):
    write_articles(raw / "tydiqa_en_train.json", article("a", entry("0", ("a", 0))))
    write_articles(raw / "tydiqa_en_dev.json", article("a", entry("0", ("", 0))))
    prepare(str(raw), str(out), "tydiqa")
    assert {path.name for path in out.iterdir()} == {"tydiqa_train.tsv"}
    assert "tydiqa_en_dev.json, which has no answers" in capsys.readouterr().out


def test_a_file_of_unanswerable_questions_is_a_split(raw, out):
    write_articles(raw / "dev-v2.0.json", article("a", entry("0", is_impossible=True)))
    prepare(str(raw), str(out), "squad2")
    assert rows(out / "squad2_dev.tsv")[0][1] == "-1:::-1:::1:::"


def test_own_split_parts_no_document_and_loses_no_question(raw, out):
    articles = [
        article(f"text {i % 15}", entry(f"q{i}", (str(i % 15), 5), is_impossible=False))
        for i in range(45)
    ]
    write_articles(raw / "squad2_dev_half.json", *articles)
    prepare(str(raw), str(out), "squad2", split_dev=True)
    train, dev = rows(out / "squad2_train.tsv"), rows(out / "squad2_dev.tsv")
    assert (len(train), len(dev)) == (33, 12)
    assert {row[0] for row in train + dev} == {f"q{i}" for i in range(45)}
    assert not {row[2] for row in train} & {row[2] for row in dev}


def test_own_split_leaves_the_benchmarks_alone(raw, out):
    for name in ("train", "dev"):
        write_articles(raw / f"{name}-v1.1.json", article("a", entry(name, ("a", 0))))
    prepare(str(raw), str(out), "squad", split_dev=True)
    assert list(spans(out / "squad_train.tsv")) == ["train"]
    assert list(spans(out / "squad_dev.tsv")) == ["dev"]


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"version": 1}', '{"data": 1}', '{"data": [{"paragraphs": [{"qas": []}]}]}'],
)
def test_another_json_is_refused(raw, out, text):
    raw.mkdir()
    if "paragraphs" in text:
        text = text.replace("[]", '[{"id": "1", "question": "?"}]')
    (raw / "dev-v1.1.json").write_text(text)
    with pytest.raises(UserError, match=r"dev-v1\.1\.json: not SQuAD's JSON"):
        prepare(str(raw), str(out), "squad")


def fake_hub(monkeypatch, expected: tuple[str, str | None], columns: dict[str, list]) -> None:
    datasets = pytest.importorskip("datasets")

    def fake_load(name: str, config: str | None = None, revision: str | None = None):
        assert (name, config) == expected
        split = datasets.Dataset.from_dict({"title": ["T"] * len(columns["id"]), **columns})
        return datasets.DatasetDict(train=split, validation=split)

    monkeypatch.setattr(datasets, "load_dataset", fake_load)


def test_hub_rows_equal_the_files(raw, out, tmp_path, monkeypatch):
    fake_hub(
        monkeypatch,
        ("rajpurkar/squad_v2", None),
        {
            "id": ["no", "yes"],
            "context": ["a\tb", "a\tb"],
            "question": ["What is\nno?", "What is\nyes?"],
            "answers": [
                {"text": [], "answer_start": []},
                {"text": ["b", "a\tb"], "answer_start": [2, 0]},
            ],
        },
    )
    prepare("hub", str(out), "squad2")
    entries = entry("no", is_impossible=True), entry("yes", ("b", 2), ("a\tb", 0))
    for name in ("train", "dev"):
        write_articles(raw / f"{name}-v2.0.json", article("a\tb", *entries))
    prepare(str(raw), str(tmp_path / "files"), "squad2")
    for split in ("train", "dev"):
        name = f"squad2_{split}.tsv"
        assert rows(out / name) == rows(tmp_path / "files" / name)


def test_the_hubs_tydiqa_in_english_only(out, monkeypatch):
    answer = {"text": ["a"], "answer_start": [0]}
    fake_hub(
        monkeypatch,
        ("google-research-datasets/tydiqa", "secondary_task"),
        {
            "id": ["arabic-1-0", "english-2-0"],
            "context": ["a", "a"],
            "question": ["?", "?"],
            "answers": [answer, answer],
        },
    )
    prepare("hub", str(out), "tydiqa")
    assert list(spans(out / "tydiqa_dev.tsv")) == ["english-2-0"]


def predict(path: Path, answers: dict[str, Any]) -> str:
    lines = [json.dumps({"uid": uid, "prediction": text}) for uid, text in answers.items()]
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def test_evaluation_counts_every_question_of_the_file(tmp_path, capsys):
    data = write_articles(
        tmp_path / "dev.json",
        article(
            "The red fox",
            entry(
                "exact", ("The red fox!", 0), ("red", 4)
            ),  # not in the document: gold all the same
            entry("half", ("red fox", 4)),
            entry("gone", ("red", 4)),
            entry("none", is_impossible=True),
        ),
    )
    answers = {"exact": "red fox", "half": "a fox", "none": ""}
    scores = evaluate(str(data), predict(tmp_path / "p.jsonl", answers))
    half = 100 * 2 / 3  # one word right of one predicted and two gold
    assert scores == pytest.approx(
        {
            "exact": 50,
            "f1": (200 + half) / 4,
            "total": 4,
            "HasAns_exact": 100 / 3,
            "HasAns_f1": (100 + half) / 3,
            "HasAns_total": 3,
            "NoAns_exact": 100,
            "NoAns_f1": 100,
            "NoAns_total": 1,
        }
    )
    assert "1 questions have no prediction" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answers", "message"),
    [({"other": "a"}, "'other' is not a question id in"), ({"q": None}, r"p\.jsonl:1: expected")],
)
def test_evaluation_refuses(tmp_path, answers, message):
    data = write_articles(tmp_path / "dev.json", article("a", entry("q", ("a", 0))))
    with pytest.raises(UserError, match=message):
        evaluate(str(data), predict(tmp_path / "p.jsonl", answers))


def test_nothing_found_exits_with_2(raw, command):
    raw.mkdir()
    code, _, err = command(squad.main, "--source", raw)
    assert code == 2
    assert f"error: nothing found in {raw}" in err


@pytest.mark.parametrize("name", ["bert", "minilm"])
def test_run_config_parses(name):
    path = TASK_FILE.with_name(f"{name}.yml")
    config = parse_config(["--config", str(path)])
    assert set(config.data.use) <= set(load_tasks(TASK_FILE))
    assert path.read_text().startswith("# ")
