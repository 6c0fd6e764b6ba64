"""Words with a label each: named entities, parts of speech, chunks."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, ClassVar

from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.formats.base import FORMATS, IGNORE, Example, Row, parse_labels
from data_utils.task_def import TaskDef


class Sequence:
    """``labels`` has an entry per token: the word's label at its first sub-word, IGNORE elsewhere.

    Stored besides: ``word_starts``, the position of each word's first sub-word, -1 where the word is
    cut off or leaves no token; and ``word_labels``, of all words, so that scores count the cut ones.
    """

    label_per = "word"
    options: ClassVar[dict[str, Any]] = {}
    columns: tuple[str, ...] = ("uid", "label", "tokens")

    def parse(self, row: Row, task: TaskDef) -> Example:
        words = [str(word) for word in row.items("tokens")]
        if not words:
            raise UserError(f"{row.where}: column 'tokens' holds no words")
        label = parse_labels(row, task, count=len(words), what="words")
        return Example(row.text("uid"), tuple(words), label)

    def encode(
        self,
        examples: list[Example],
        tokenizer: PreTrainedTokenizerBase,
        task: TaskDef,
        *,
        max_seq_len: int,
    ) -> dict[str, list]:
        # As running text: tokenizers that mark blanks (RoBERTa's, SentencePiece's) then see words as
        # they were trained to.
        texts = [" ".join(example.texts) for example in examples]
        encoded = tokenizer(texts, truncation=True, max_length=max_seq_len)
        starts = [
            _word_starts(encoding, example.texts)
            for encoding, example in zip(encoded.encodings, examples, strict=True)
        ]
        columns: dict[str, list] = {
            "uid": [example.uid for example in examples],
            "input_ids": encoded["input_ids"],
            "truncated": [bool(encoding.overflowing) for encoding in encoded.encodings],
            "word_starts": starts,
        }
        if "token_type_ids" in tokenizer.model_input_names:
            columns["token_type_ids"] = encoded["token_type_ids"]
        if examples[0].label is not None:
            columns["word_labels"] = [example.label for example in examples]
            columns["labels"] = [
                _per_token(example.label, own, len(ids))
                for example, own, ids in zip(examples, starts, encoded["input_ids"], strict=True)
            ]
        return columns


def _word_starts(encoding: Any, words: tuple[str, ...]) -> list[int]:
    """The first token of each word of the text that joins them with blanks; -1: none."""
    begins = accumulate((len(word) + 1 for word in words[:-1]), initial=0)
    starts = []
    for begin, word in zip(begins, words, strict=True):
        # A normalizer may drop a word's first character, such as a byte-order mark.
        tokens = (encoding.char_to_token(begin + offset) for offset in range(len(word)))
        starts.append(next((token for token in tokens if token is not None), -1))
    return starts


def _per_token(labels: list[int], starts: list[int], length: int) -> list[int]:
    row = [IGNORE] * length
    for label, start in zip(labels, starts, strict=True):
        if start >= 0:
            row[start] = label
    return row


FORMATS.register("Sequence", "Seqence")(Sequence())
