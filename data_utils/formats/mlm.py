"""Data format: unlabelled text for masked language modelling."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, ClassVar

import numpy as np
from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.formats.base import DataFormat, Example, Row
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.task_def import TaskDef

BLANK_LINE = re.compile(r"\n\s*\n")
NO_WORD = -1
"""Entry of ``word_ids`` at special tokens."""


class MLM(DataFormat):
    """Unlabelled text, split into paragraphs at blank lines.

    A paragraph longer than ``max_seq_len`` is split into several windows, so that no text is lost. A
    window never has text of two paragraphs. The windows of a row are numbered consecutively.

    There is no column ``labels``, because the task type chooses the masked tokens anew each time. The
    additional column ``word_ids`` has the number of each token's word, and ``NO_WORD`` at special tokens,
    which are never masked. Words are the units of the tokenizer's pre-tokenization: for most
    tokenizers the parts between spaces and punctuation, for BERT's also single Chinese characters.
    """

    labels: ClassVar[tuple[LabelSpec, ...]] = (LabelSpec(LabelKind.TOKEN, LabelUnit.WINDOW),)
    columns: ClassVar[tuple[str, ...]] = ("uid", "text")
    text_columns: ClassVar[tuple[str, ...]] = ("text",)
    perturbed_columns: ClassVar[tuple[str, ...] | None] = ()  # the labels are tokens of the text

    def parse(self, row: Row, task: TaskDef) -> Example:
        paragraphs = [part.strip() for part in BLANK_LINE.split(row.text("text"))]
        texts = tuple(filter(None, paragraphs))
        if not texts:
            raise UserError(f"{row.where}: column 'text' is empty")
        # The labels are tokens of the text itself.
        return Example(row.text("uid"), texts, label=True)

    def encode(
        self,
        examples: list[Example],
        tokenizer: PreTrainedTokenizerBase,
        task: TaskDef,
        *,
        max_seq_len: int,
    ) -> dict[str, list]:
        owners = [example for example in examples for _ in example.texts]
        encoded = tokenizer(
            [text for example in examples for text in example.texts],
            truncation=True,
            max_length=max_seq_len,
            return_overflowing_tokens=True,
        )
        columns: dict[str, list] = defaultdict(list)
        previous = None
        for encoding, paragraph in zip(
            encoded.encodings, encoded["overflow_to_sample_mapping"], strict=True
        ):
            owner = owners[paragraph]
            columns["window"].append(0 if owner is not previous else columns["window"][-1] + 1)
            columns["uid"].append(owner.uid)
            columns["input_ids"].append(encoding.ids)
            if "token_type_ids" in tokenizer.model_input_names:
                columns["token_type_ids"].append(encoding.type_ids)
            columns["word_ids"].append(_word_ids(encoding, tokenizer.all_special_ids))
            previous = owner
        return {**columns, "truncated": [False] * len(examples)}


def _word_ids(encoding: Any, special: list[int]) -> np.ndarray:
    """Return the word number of each token, (T,) int32.

    It is NO_WORD for all special tokens, also for those inside the text, such as [UNK].
    """
    return np.array(
        [
            NO_WORD if word is None or token in special else word
            for token, word in zip(encoding.ids, encoding.word_ids, strict=True)
        ],
        np.int32,
    )
