"""A question about a document, whose answer is a span of it (machine reading comprehension)."""

from __future__ import annotations

import operator
from collections import defaultdict
from typing import Any, ClassVar, NamedTuple

import numpy as np
from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.formats.base import FORMATS, DataFormat, Example, Row
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.task_def import TaskDef

SEPARATOR = ":::"
NO_ANSWER_AT = 0
"""Position of a window that stands for: no answer here. It is [CLS], and where a tokenizer puts
no token before the question, as T5's, the first token of the question: never one of the document."""


class SpanLabel(NamedTuple):
    """All accepted answers, and the first one's characters in the document: start, end (exclusive)."""

    start: int
    end: int
    answers: tuple[str, ...]
    """Empty: the document does not answer the question."""


UNANSWERABLE = SpanLabel(-1, -1, ())


class MRC(DataFormat):
    """The label is ``start:::end:::impossible:::answer[:::answer...]``; JSON may have SQuAD's
    ``answers`` and ``is_impossible`` in its place, where an empty list means: no answer.

    A window is question, then as much of the document as fits: the order of BERT for SQuAD (arXiv
    1810.04805, 4.2). The next one begins ``stride`` tokens before its end, but never before the
    middle of what it has of the document. A question is cut at half of ``max_seq_len``.

    ``labels`` are the positions of the first answer's first and last token; both are ``NO_ANSWER_AT``
    where the window does not hold all of the answer. Stored besides, so that positions can be read
    without the tokenizer: ``passage``, the window's part of the document; ``passage_at``, the position
    of its first token; ``char_starts`` and ``char_ends`` (exclusive) of its tokens in it; ``answers``.
    """

    labels: ClassVar[tuple[LabelSpec, ...]] = (LabelSpec(LabelKind.ANSWER, LabelUnit.WINDOW),)
    options: ClassVar[dict[str, Any]] = {"stride": 128}
    columns: ClassVar[tuple[str, ...]] = ("uid", "label", "document", "question")
    text_columns: ClassVar[tuple[str, ...]] = ("document", "question")

    def parse(self, row: Row, task: TaskDef) -> Example:
        document, question = row.text("document"), row.text("question")
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
        # Each on its own, as only the document is cut, and its tokens' offsets must be taken before
        # special tokens are put in: RoBERTa's post-processor moves them each time it runs.
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
    """The columns of each window; ``content`` is how many tokens it has besides the special ones."""
    offsets = np.array(document.offsets, np.int32).reshape(-1, 2)
    room = content - len(question)
    overlap = min(stride, room // 2)
    document.truncate(room, stride=overlap)
    windows = []
    for number, part in enumerate([document, *document.overflowing]):
        begin = number * (room - overlap)  # of the part, among the document's tokens
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


def _positions(
    label: SpanLabel, offsets: np.ndarray, begin: int, count: int, passage_at: int
) -> tuple[int, int]:
    """First and last position of the answer in the window that has ``count`` tokens from ``begin`` on."""
    # Tokens that share a character with the answer: it may begin or end within one.
    first = int(np.searchsorted(offsets[:, 1], label.start, side="right"))
    last = int(np.searchsorted(offsets[:, 0], label.end, side="left")) - 1
    if label.answers and begin <= first <= last < begin + count:
        return passage_at + first - begin, passage_at + last - begin
    return NO_ANSWER_AT, NO_ANSWER_AT


def _parse_label(row: Row) -> SpanLabel | None:
    """Of the label's cell or, where that is empty, of SQuAD's keys; None where there is neither.

    Raises:
        UserError: malformed; says where.
    """
    cell = row.text("label")
    if cell.strip():
        return _parse_cell(cell, row.where)
    if row.values.get("is_impossible"):
        return UNANSWERABLE
    answers = row.values.get("answers")
    return None if answers is None else _parse_answers(answers, row.where)


def _parse_cell(cell: str, where: str) -> SpanLabel:
    numbers, answers = cell.split(SEPARATOR)[:3], cell.split(SEPARATOR)[3:]
    try:
        start, end, impossible = map(int, numbers)
    except ValueError:
        start, end, impossible = -1, -1, -1
    if impossible == 1:
        return UNANSWERABLE
    if impossible != 0 or not any(answers):
        raise UserError(
            f"{where}: label {cell!r:.80} is not start:::end:::impossible:::answer[:::answer...], such as "
            f"3:::6:::0:::dog, or -1:::-1:::1::: where there is no answer"
        )
    return SpanLabel(start, end, tuple(dict.fromkeys(filter(None, answers))))


def _parse_answers(answers: Any, where: str) -> SpanLabel:
    """SQuAD's: a list of {text, answer_start}, or as the hub has it, {text: [...], answer_start: [...]}."""
    try:
        if isinstance(answers, dict):
            found = list(zip(answers["text"], answers["answer_start"], strict=True))
        else:
            found = [(answer["text"], answer["answer_start"]) for answer in answers]
        if not found:
            return UNANSWERABLE
        if not all(text for text, _ in found):
            raise ValueError("an empty text is no answer")
        text, start = found[0][0], operator.index(found[0][1])
        return SpanLabel(start, start + len(text), tuple(dict.fromkeys(text for text, _ in found)))
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{where}: 'answers' is {answers!r:.80}; expected a list of {{text, answer_start}}, or "
            f"{{text: [...], answer_start: [...]}}; empty lists where there is no answer"
        ) from None


def _check_place(label: SpanLabel, document: str, where: str) -> None:
    start, end, (answer, *_) = label
    # Lengths too: Python cuts a slice at the document's end, and counts a negative start from there.
    if start < 0 or end - start != len(answer) or document[start:end] != answer:
        stands = document[max(start, 0) : max(end, 0)]
        raise UserError(
            f"{where}: the answer is {answer!r:.80}, but at its place {start}:{end} the document, of "
            f"{len(document)} characters, has {stands!r:.80}"
        )


FORMATS.register("MRC")(MRC())
