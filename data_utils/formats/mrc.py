"""Data format: machine reading comprehension, a question answered by a span of a document."""

from __future__ import annotations

import operator
import re
from collections import defaultdict
from typing import Any, ClassVar, NamedTuple

import numpy as np
from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.formats.base import DataFormat, Example, Row
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.task_def import TaskDef

SEPARATOR = ":::"
NO_ANSWER_AT = 0
"""Position that means "no answer in this window". It is the [CLS] token. For tokenizers without a token
before the question, such as T5's, it is the first token of the question. It is never in the document."""


class SpanLabel(NamedTuple):
    """Accepted answers, and the character span of the first one: start, end (exclusive)."""

    start: int
    end: int
    answers: tuple[str, ...]
    """Accepted answers; empty if the document does not answer the question."""


UNANSWERABLE = SpanLabel(-1, -1, ())


class MRC(DataFormat):
    """A document and a question; the answer is a span of the document.

    The label is ``start:::end:::impossible:::answer[:::answer...]``. JSON rows may have SQuAD's keys
    ``answers`` and ``is_impossible`` instead; an empty list of answers means that there is no answer.

    A window consists of the question and a part of the document, in this order, as in BERT for SQuAD
    (arXiv 1810.04805, section 4.2). Consecutive windows overlap by ``stride`` tokens, but at most by
    half of the document tokens of a window. A question is truncated to half of ``max_seq_len``.

    ``labels`` has the positions of the first and last token of the first answer. Both are
    ``NO_ANSWER_AT`` if the window does not contain the whole answer. The following columns allow
    decoding without the tokenizer:

    * ``passage``: the window's part of the document;
    * ``passage_at``: the position of its first token;
    * ``char_starts``, ``char_ends`` (exclusive): the characters of each of its tokens in ``passage``,
      with those beside it that a normalizer drops, such as combining marks;
    * ``answers``: the accepted answers.
    """

    labels: ClassVar[tuple[LabelSpec, ...]] = (LabelSpec(LabelKind.ANSWER, LabelUnit.WINDOW),)
    options: ClassVar[dict[str, Any]] = {"stride": 128}
    columns: ClassVar[tuple[str, ...]] = ("uid", "label", "document", "question")
    text_columns: ClassVar[tuple[str, ...]] = ("document", "question")
    shared_column: ClassVar[str | None] = "document"
    # Answers are places in the document.
    perturbed_columns: ClassVar[tuple[str, ...] | None] = ("question",)
    optional_keys: ClassVar[tuple[str, ...]] = ("answers", "is_impossible")

    def parse(self, row: Row, task: TaskDef) -> Example:
        # Some tokenizers have tokens for blanks, and a question is cut off at its end.
        document, question = row.text("document"), row.text("question").strip()
        label = _parse_label(row)
        if label is not None and label.answers:
            _check_place(label, document, row.where)
        return Example(row.text("uid"), (document, question), label)

    def encode(
        self,
        examples: list[Example],
        tokenizer: PreTrainedTokenizerBase,
        task: TaskDef,
        *,
        max_seq_len: int,
    ) -> dict[str, list]:
        stride = (self.options | task.options)["stride"]
        if stride < 0:
            raise UserError(f"{task.where}: options: stride: {stride}; it must be at least 0")
        content = max_seq_len - tokenizer.num_special_tokens_to_add(pair=True)
        columns: dict[str, list] = defaultdict(list)
        # Documents and questions are tokenized separately, because only documents are split, and
        # because offsets must be read before special tokens are added: RoBERTa's post-processor
        # changes the offsets each time it runs.
        documents, questions = (
            tokenizer(
                [example.texts[i] for example in examples], add_special_tokens=False, verbose=False
            ).encodings
            for i in (0, 1)
        )
        for example, document, question in zip(examples, documents, questions, strict=True):
            columns["truncated"].append(len(question) > content // 2)
            question.truncate(content // 2)
            for window in _windows(example, document, question, tokenizer, content, stride):
                for name, value in window.items():
                    columns[name].append(value)
        return dict(columns)


def _windows(
    example: Example,
    document: Encoding,
    question: Encoding,
    tokenizer: PreTrainedTokenizerBase,
    content: int,
    stride: int,
) -> list[dict[str, Any]]:
    """Split an example into windows and return the columns of each.

    ``content`` is the number of tokens of a window without special tokens.
    """
    offsets = with_dropped(document.offsets, example.texts[0])
    room = content - len(question)
    overlap = min(stride, room // 2)
    document.truncate(room, stride=overlap)
    windows = []
    for number, part in enumerate([document, *document.overflowing]):
        # Index of the part's first token among the document's tokens.
        begin = number * (room - overlap)
        own = offsets[begin : begin + len(part)]
        left, right = (int(own.min()), int(own.max())) if len(own) else (0, 0)
        joined = tokenizer.backend_tokenizer.post_process(question, part)
        passage_at = joined.sequence_ids.index(1) if len(part) else len(joined)
        window = {
            "uid": example.uid,
            "window": number,
            "input_ids": joined.ids,
            "passage": example.texts[0][left:right],
            "passage_at": passage_at,
            "char_starts": own[:, 0] - left,
            "char_ends": own[:, 1] - left,
        }
        if "token_type_ids" in tokenizer.model_input_names:
            window["token_type_ids"] = joined.type_ids
        if example.label is not None:
            window["answers"] = list(example.label.answers)
            window["labels"] = _positions(example.label, offsets, begin, len(part), passage_at)
        windows.append(window)
    return windows


def with_dropped(offsets: list[tuple[int, int]], text: str) -> np.ndarray:
    """Return the offsets of tokens, (n, 2), extended by the characters of their words that no token has.

    Normalizers drop combining marks, variation selectors, zero-width joiners and control characters.
    Those up to the next blank belong to the token before them, because a mark follows the letter that
    it changes; those after a blank, or at the start of the text, belong to the token after them.
    """
    found = np.array(offsets, np.int32).reshape(-1, 2)
    if not len(found):
        return found
    found[0, 0] -= _until_blank(text[: found[0, 0]][::-1])
    for token, (end, following) in enumerate(zip(found[:-1, 1], found[1:, 0], strict=True)):
        gap = text[end:following]
        if gap and not gap.isspace():
            attached = _until_blank(gap)
            found[token, 1] += attached
            found[token + 1, 0] -= _until_blank(gap[attached:][::-1])
    found[-1, 1] += _until_blank(text[found[-1, 1] :])
    return found


def _until_blank(text: str) -> int:
    """Return the number of characters before the first white space."""
    return next((i for i, char in enumerate(text) if char.isspace()), len(text))


def _positions(
    label: SpanLabel, offsets: np.ndarray, begin: int, count: int, passage_at: int
) -> tuple[int, int]:
    """Return the positions of the answer's first and last token in a window.

    The window has ``count`` tokens of the document, from token ``begin`` on.
    """
    # All tokens that overlap the answer, which may begin or end inside a token.
    first = int(np.searchsorted(offsets[:, 1], label.start, side="right"))
    last = int(np.searchsorted(offsets[:, 0], label.end, side="left")) - 1
    if label.answers and begin <= first <= last < begin + count:
        return passage_at + first - begin, passage_at + last - begin
    return NO_ANSWER_AT, NO_ANSWER_AT


def _parse_label(row: Row) -> SpanLabel | None:
    """Parse the label cell or, if it is empty, SQuAD's keys.

    Returns:
        The label, or None if the row has neither.

    Raises:
        UserError: the label is malformed; the message begins with the row's place.
    """
    cell = row.text("label")
    if cell.strip():
        return _parse_cell(cell, row.where)
    impossible = row.values.get("is_impossible")
    if impossible not in (None, "", True, False):
        raise UserError(f"{row.where}: is_impossible: {impossible!r:.80} is not true or false")
    if impossible:
        return UNANSWERABLE
    answers = row.values.get("answers")
    return None if answers is None else _parse_answers(answers, row.where)


def _parse_cell(cell: str, where: str) -> SpanLabel:
    """Parse ``start:::end:::impossible:::answer[:::answer...]``."""
    *numbers, text = [*cell.split(SEPARATOR, 3), ""][:4]
    try:
        start, end, impossible = map(int, numbers)
    except ValueError:
        start, end, impossible = -1, -1, -1
    answers = _split_answers(text, end - start)
    if impossible == 1:
        return UNANSWERABLE
    if impossible != 0 or not any(answers):
        raise UserError(
            f"{where}: label {cell!r:.80} is not start:::end:::impossible:::answer[:::answer...], such as "
            f"3:::6:::0:::dog, or -1:::-1:::1::: if there is no answer"
        )
    return SpanLabel(start, end, tuple(dict.fromkeys(filter(None, answers))))


def _split_answers(text: str, length: int) -> list[str]:
    """Split ``answer[:::answer...]``, where answers may begin or end with a colon.

    The first answer has ``length`` characters. In a longer run of colons after it, the last three are
    the separator, because an answer more often ends with a colon than it begins with one.
    """
    first, rest = text[:length], text[length:]
    if length > 0 and (not rest or rest.startswith(SEPARATOR)):
        return [first, *re.split(f"{SEPARATOR}(?!:)", rest.removeprefix(SEPARATOR))]
    return re.split(f"{SEPARATOR}(?!:)", text)


def _parse_answers(answers: Any, where: str) -> SpanLabel:
    """Parse the answers of SQuAD's JSON format or of its version on the Hugging Face hub.

    The former is a list of {text, answer_start}, the latter {text: [...], answer_start: [...]}.
    """
    try:
        if isinstance(answers, dict):
            found = list(zip(answers["text"], answers["answer_start"], strict=True))
        else:
            found = [(answer["text"], answer["answer_start"]) for answer in answers]
        if not found:
            return UNANSWERABLE
        if not all(text for text, _ in found):
            raise ValueError("an answer has an empty text")
        text, start = found[0][0], operator.index(found[0][1])
        return SpanLabel(start, start + len(text), tuple(dict.fromkeys(text for text, _ in found)))
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{where}: 'answers' is {answers!r:.80}; expected a list of {{text, answer_start}}, or "
            f"{{text: [...], answer_start: [...]}}; empty lists if there is no answer"
        ) from None


def _check_place(label: SpanLabel, document: str, where: str) -> None:
    """Check that the document has the first answer at the given characters."""
    start, end, (answer, *_) = label
    # Compare lengths too: Python clips a slice at the end and counts a negative start from there.
    if start < 0 or end - start != len(answer) or document[start:end] != answer:
        found = document[max(start, 0) : max(end, 0)]
        raise UserError(
            f"{where}: the answer is {answer!r:.80}, but characters {start}:{end} of the document "
            f"({len(document)} characters) are {found!r:.80}"
        )
