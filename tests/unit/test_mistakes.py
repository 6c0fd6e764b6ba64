"""The most confident mistakes, with their texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from mt_dnn.registries import TASK_TYPES
from mt_dnn.task_types import Prediction, TaskType
from mt_dnn.tracking.mistakes import SHOWN, example_text, first_windows, mistakes_list, worst
from mt_dnn.tracking.values import escaped
from tests.support.tasks import make_task


class Rows:
    """A store of token ids."""

    def __init__(self, ids: list[Any], windows: list[int] | None = None) -> None:
        self.ids = ids
        self.windows = None if windows is None else np.array(windows)

    def take(self, indices: list[int]) -> dict[str, list]:
        return {"input_ids": [self.ids[i] for i in indices]}


def kind_of(name: str, labels: Sequence[str] = (), **settings: Any) -> TaskType:
    task = make_task(task_type=name, labels=tuple(labels), n_class=len(labels) or 1, **settings)
    return TASK_TYPES.get(name)(task)


def test_the_most_confident_mistakes_come_first():
    kind = kind_of("Classification", ["no", "yes"])
    predictions = [
        Prediction("right", 1, [0.0, 1.0], 1),
        Prediction("unsure", 1, [0.4, 0.6], 0),
        Prediction("sure", 0, [0.9, 0.1], 1),
    ]
    assert worst(kind, predictions) == [(2, 0.9), (1, 0.6)]
    found = worst(kind, predictions * SHOWN)
    assert found is not None
    assert len(found) == SHOWN


def test_masked_tokens_are_neither_right_nor_wrong(tokenizer):
    one = Prediction("a", [1, 2], (0.5, 2), [1, 3])
    assert worst(kind_of("MaskLM"), [one]) is None
    assert mistakes_list(kind_of("MaskLM"), [one], cast(Any, Rows([])), tokenizer) is None


def test_numbers_show_their_error(tokenizer):
    rows = cast(Any, Rows([tokenizer("red")["input_ids"]]))
    listed = mistakes_list(kind_of("Regression"), [Prediction("a", 2.5, 2.5, 4.0)], rows, tokenizer)
    assert listed is not None
    assert listed.splitlines()[1].strip() == "gold **4**, predicted **2.5**, error 1.5, uid a"


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
    listed = mistakes_list(
        kind_of("SequenceLabeling", ["w0", "w1", "w2", "w3", "w4"]), [one], rows, tokenizer
    )
    assert listed is not None
    assert listed.splitlines()[1].strip() == (
        "two: gold **w0**, predicted **w1**; blue: gold **w1**, predicted **w2**; "
        "…: gold **w4**, predicted **w3** (75.0%), uid a"
    )


def test_the_list_has_labels_texts_and_uids(tokenizer):
    rows = cast(Any, Rows([tokenizer("red")["input_ids"], tokenizer("two blue")["input_ids"]]))
    predictions = [Prediction("a_1", 1, [0.0, 1.0], 1), Prediction("b_2", 1, [0.125, 0.875], 0)]
    listed = mistakes_list(kind_of("Classification", ["no", "yes"]), predictions, rows, tokenizer)
    assert listed is not None
    assert listed.splitlines() == [
        "1. two blue  ",
        r"    gold **no**, predicted **yes** (87.5%), uid b\_2",
    ]
    assert (
        mistakes_list(kind_of("Classification", ["no", "yes"]), predictions[:1], rows, tokenizer)
        == "no mistakes"
    )


def test_markdown_and_html_in_texts_are_shown_as_they_are():
    assert escaped("*a* <b> [c](d) `e`") == r"\*a\* &lt;b&gt; \[c\](d) \`e\`"
