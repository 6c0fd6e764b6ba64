"""Predictions have one form, in Python and in JSON lines, for every task type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mt_dnn
from data_utils.errors import UserError
from mt_dnn.inference.answers import Answer, answer
from mt_dnn.inference.lines import Content, predict_lines
from mt_dnn.inference.predictor import Predictor
from mt_dnn.task_types import Prediction
from tests.support.encoders import tiny_encoder_folder
from tests.support.model_folders import tasks_of, write_model

TASKS = """\
pair: {data_format: PremiseAndOneHypothesis, task_type: Classification, labels: [same, other], metric_meta: [ACC]}
ids: {data_format: PremiseOnly, task_type: Classification, n_class: 2, metric_meta: [ACC]}
number: {data_format: PremiseOnly, task_type: Regression, n_class: 1, metric_meta: [Pearson]}
topics: {data_format: PremiseOnly, task_type: MultiLabel, labels: [art, sport], metric_meta: [F1MIC]}
words: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, B], metric_meta: [ACC]}
span: {data_format: MRC, task_type: Span, metric_meta: [EM]}
ranking: {data_format: PremiseAndMultiHypothesis, task_type: Ranking, metric_meta: [ACC]}
choice: {data_format: PremiseAndMultiHypothesis, task_type: MultipleChoice, metric_meta: [ACC]}
hidden: {data_format: MLM, task_type: MaskLM, metric_meta: [Perplexity]}
"""
CANDIDATES = {"premise": "a man", "hypothesis": ["a dog", "a cat", "it"], "label": [0, 1, 0]}
ROWS = {
    "pair": {"premise": "a dog", "hypothesis": "a cat", "label": "other"},
    "ids": {"premise": "a dog", "label": 1},
    "number": {"premise": "a dog", "label": 2.5},
    "topics": {"premise": "a dog", "label": ["sport"]},
    "words": {"tokens": ["a", "good", "dog"], "label": ["O", "B", "B"]},
    "span": {
        "document": "the dog sleeps in the house",
        "question": "who sleeps",
        "answers": {"text": ["the dog"], "answer_start": [0]},
    },
    "ranking": CANDIDATES,
    "choice": CANDIDATES,
    "hidden": {"text": "the dog sleeps in the house and the cat is good" + " again" * 20},
}
SCORES = {
    "pair": {"same", "other"},
    "ids": {"0", "1"},
    "number": float,
    "topics": {"art", "sport"},
    "words": 3,
    "span": {"score", "null", "n_best"},
    "ranking": 3,
    "choice": 3,
    "hidden": {"nats", "tokens"},
}
"""The names of the scores; or how many there are."""
GOLD = {
    "pair": "other",
    "ids": 1,
    "number": 2.5,
    "topics": ["sport"],
    "words": ["O", "B", "B"],
    "span": ["the dog"],
    "ranking": [0, 1, 0],
    "choice": 1,
}


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("answers")
    encoder = tiny_encoder_folder(folder / "encoder")
    write_model(folder / "run", tasks_of(folder, TASKS), encoder)
    return mt_dnn.load(folder / "run")


def lines_of(predictor: Predictor, task: str, row: object, content: Content) -> list[dict]:
    written: list[str] = []
    predict_lines(
        predictor,
        predictor.task(task),
        [json.dumps(row)],
        name="rows.jsonl",
        content=content,
        write=written.append,
        batch_size=2,
        chunk=2,
    )
    return [json.loads(line) for line in "".join(written).splitlines()]


@pytest.mark.parametrize("task", ROWS)
def test_a_line_is_the_answer_of_python(predictor, task):
    row = {"uid": "7", **ROWS[task]}
    (answer,) = predictor.predict(task, [row], text=True)
    (line,) = lines_of(predictor, task, row, Content(text=True))
    assert line == json.loads(json.dumps(answer.record()))
    assert list(line) == ["uid", "prediction", "scores", "gold", "text"]
    assert line["text"] == {k: v for k, v in row.items() if k in line["text"]}
    assert line["text"].keys() == row.keys() - {"uid", "label", "answers"}
    assert line["gold"] == GOLD.get(task, line["gold"])
    assert type(line["prediction"]) is (str if task == "span" else type(line["gold"]))
    scores, expected = line["scores"], SCORES[task]
    if isinstance(expected, set):
        assert scores.keys() == expected
    elif isinstance(expected, int):
        assert len(scores) == expected
    else:
        assert type(scores) is expected
    (plain,) = lines_of(predictor, task, row, Content())
    assert plain == {key: value for key, value in line.items() if key != "text"}


def test_gold_and_text_are_left_out_where_there_are_none():
    assert Answer("1", "x", {"x": 1.0}).record() == {
        "uid": "1",
        "prediction": "x",
        "scores": {"x": 1.0},
    }
    assert Answer("1", None, None, "x").record()["prediction"] is None


def test_a_prediction_without_scores_has_none(predictor):
    kind = predictor.model.task_types["hidden"]
    assert answer(kind, Prediction("1", [5], None)).scores is None


def test_a_list_of_words_is_a_row_of_words(predictor):
    words = ["a", "good", "dog"]
    expected = predictor.predict("words", [{"tokens": words}])
    assert len(expected[0].prediction) == 3
    for row in (words, tuple(words), "a good dog", ("a good dog",)):
        assert predictor.predict("words", [row]) == expected
    (one,) = predictor.predict("words", [["dog"]], text=True)
    assert (len(one.prediction), one.text) == (1, {"tokens": ["dog"]})
    (blank,) = predictor.predict("words", [["a", "new york"]])
    assert len(blank.prediction) == 2  # words are taken as they are
    with pytest.raises(UserError, match="row 1: column 'tokens': text 2 is empty"):
        predictor.predict("words", [words, ["a", " "]])


def test_a_json_line_may_be_a_list_or_a_text(predictor):
    def predicted(task: str, row: object) -> dict:
        (line,) = lines_of(predictor, task, row, Content())
        return line

    assert predicted("words", ["a", "dog"]) == predicted("words", {"tokens": ["a", "dog"]})
    pair = {"premise": "a dog", "hypothesis": "a cat"}
    assert predicted("pair", ["a dog", "a cat"]) == predicted("pair", pair)
    assert predicted("ids", "a dog") == predicted("ids", {"premise": "a dog"})
    with pytest.raises(
        UserError, match=r"^rows\.jsonl:1: 1 texts; task 'pair' takes: premise, hypo"
    ):
        predicted("pair", "a dog")
    with pytest.raises(UserError, match=r"^rows\.jsonl:1: 3 is not a text"):
        predicted("ids", 3)


def test_files_of_older_versions_still_have_what_their_readers_need(tmp_path: Path):
    """GLUE's and SQuAD's converters read uid and prediction; scores were lists without names."""
    from experiments.submission import read_predictions

    old = [{"uid": str(i), "prediction": "same", "scores": [0.9, 0.1]} for i in range(2)]
    new = [line | {"scores": {"same": 0.9, "other": 0.1}} for line in old]
    found = []
    for name, lines in (("old", old), ("new", new)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        found.append(read_predictions(path, int, lambda prediction, where: prediction))
    assert found[0] == found[1] == {0: "same", 1: "same"}
