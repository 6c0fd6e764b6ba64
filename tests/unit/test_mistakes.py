"""The most confident mistakes, with their texts."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from mt_dnn.task_types import Prediction
from mt_dnn.tracking.mistakes import SHOWN, example_text, first_windows, mistakes_list, worst
from mt_dnn.tracking.values import escaped


class Rows:
    """A store of token ids."""

    def __init__(self, ids: list[Any], windows: list[int] | None = None) -> None:
        self.ids = ids
        self.windows = None if windows is None else np.array(windows)

    def take(self, indices: list[int]) -> dict[str, list]:
        return {"input_ids": [self.ids[i] for i in indices]}


class Words:
    """A task type whose classes are the words no and yes."""

    def in_words(self, value: Any) -> Any:
        return ["no", "yes"][value] if isinstance(value, int) else value


class Lists:
    """A task type of labelled words."""

    def in_words(self, value: Any) -> Any:
        return [f"w{number}" for number in value]


def test_the_most_confident_mistakes_come_first():
    predictions = [
        Prediction("right", 1, [0.0, 1.0], 1),
        Prediction("unsure", 1, [0.4, 0.6], 0),
        Prediction("sure", 0, [0.9, 0.1], 1),
    ]
    assert worst(predictions) == [(2, 0.9), (1, 0.6)]
    assert len(worst(predictions * SHOWN)) == SHOWN


@pytest.mark.parametrize(
    ("one", "size"),
    [
        (Prediction("number", 2.5, 2.5, 4.0), 1.5),
        (Prediction("words", [0, 1, 2], [0.9, 0.8, 0.7], [0, 2, 1]), 0.8),
        (Prediction("set", {0}, [0.7, 0.05], {1}), 0.95),
        (Prediction("text", "Rome", {"score": 1.0}, ["Paris", "paris"]), None),
    ],
    ids=lambda value: value.uid if isinstance(value, Prediction) else "",
)
def test_every_kind_of_prediction_can_be_wrong(one, size):
    assert worst([one]) == [(0, pytest.approx(size))]


def test_an_accepted_text_is_no_mistake():
    assert worst([Prediction("a", "paris", {}, ["Paris", "paris"])]) == []


def test_texts_show_segments_candidates_and_the_first_window(tokenizer):
    def ids(*texts: str) -> list[int]:
        return tokenizer(*texts)["input_ids"]

    assert example_text(ids("blue", "two green"), tokenizer) == "blue ‖ two green"
    assert example_text([ids("red"), ids("one")], tokenizer) == "red / one"
    rows = cast(Any, Rows([ids("red"), ids("blue"), ids("green")], windows=[0, 1, 0]))
    assert first_windows(rows, [1]) == {"input_ids": [ids("green")]}


def test_wrong_words_are_named(tokenizer):
    class Sentence(Rows):
        def take(self, indices: list[int]) -> dict[str, list]:
            return super().take(indices) | {"word_starts": [[1, 2, 3, -1]]}

    rows = cast(Any, Sentence([tokenizer("red two blue")["input_ids"]]))
    one = Prediction("a", [0, 1, 2, 3], [0.9, 0.5, 0.75, 0.0], [0, 0, 1, 4])
    listed = mistakes_list(cast(Any, Lists()), [one], rows, tokenizer)
    assert listed.splitlines()[1].strip() == (
        "two: gold **w0**, predicted **w1**; blue: gold **w1**, predicted **w2**; "
        "…: gold **w4**, predicted **w3** (75.0%), uid a"
    )


def test_the_list_has_labels_texts_and_uids(tokenizer):
    rows = cast(Any, Rows([tokenizer("red")["input_ids"], tokenizer("two blue")["input_ids"]]))
    predictions = [Prediction("a_1", 1, [0.0, 1.0], 1), Prediction("b_2", 1, [0.125, 0.875], 0)]
    listed = mistakes_list(cast(Any, Words()), predictions, rows, tokenizer)
    assert listed.splitlines() == [
        "1. two blue  ",
        r"    gold **no**, predicted **yes** (87.5%), uid b\_2",
    ]
    assert mistakes_list(cast(Any, Words()), predictions[:1], rows, tokenizer) == "no mistakes"


def test_markdown_and_html_in_texts_are_shown_as_they_are():
    assert escaped("*a* <b> [c](d) `e`") == r"\*a\* &lt;b&gt; \[c\](d) \`e\`"
