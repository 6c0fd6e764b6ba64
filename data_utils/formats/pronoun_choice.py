"""Data format: a text with a pronoun and the phrases that it may refer to (WNLI, WSC, PDP)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import accumulate, chain, pairwise
from typing import Any, ClassVar, NamedTuple

from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.formats.base import Example, Row
from data_utils.formats.cloze_choice import ClozeChoice
from data_utils.formats.rows import label_columns
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.task_def import TaskDef

PRONOUN = re.compile(r"\[([^\[\]]+)\]")
MIN_ROOM = 2
"""Least number of tokens of the text that must fit beside the longest candidate."""


class Slot(NamedTuple):
    """A text, and the character range of its pronoun: text[start:end]."""

    text: str
    start: int
    end: int

    def filled(self, words: str) -> str:
        """Return the text with ``words`` in place of the pronoun."""
        return self.text[: self.start] + words + self.text[self.end :]


class PronounChoice(ClozeChoice):
    """A text with a pronoun in brackets, and the phrases that it may refer to.

    The columns are those of ClozeChoice: the premise is the text, such as "The trophy does not fit in
    the suitcase because [it] is too big.", and the hypotheses are the candidates. ClozeChoice can
    therefore read the same rows.

    Each candidate has two sequences, stored one after the other:

    1. the text with the pronoun replaced by as many mask tokens as the candidate has tokens;
    2. the text and the candidate, as a pair.

    A text that is too long loses tokens on the longer side of the pronoun first. Further columns have
    one entry per candidate: ``fill``, the ids of the candidate's tokens inside the text; ``blank_at``,
    the positions of the mask tokens in sequence 1; ``pronoun_at``, the position of the pronoun's first
    token in sequence 2; and ``candidate_at``, the positions of the candidate's tokens in sequence 2.

    Source: the inputs of both models of HNN (He et al. 2019, arXiv 1907.11983).
    """

    labels: ClassVar[tuple[LabelSpec, ...]] = (
        LabelSpec(LabelKind.ANTECEDENT, LabelUnit.CANDIDATE),
    )

    def parse(self, row: Row, task: TaskDef) -> Example:
        """Parse a row as ClozeChoice does.

        Raises:
            UserError: the text does not have exactly one pronoun in brackets, or a candidate is empty.
        """
        example = super().parse(row, task)
        count = len(PRONOUN.findall(example.texts[0]))
        if count != 1:
            raise UserError(
                f"{row.where}: column 'premise' has {count} words in brackets; put brackets around the "
                f"one pronoun, such as: The cup fell because [it] was wet."
            )
        if not all(text.strip() for text in example.texts[1:]):
            raise UserError(f"{row.where}: column 'hypothesis' has an empty candidate; remove it")
        return example

    def encode(
        self,
        examples: list[Example],
        tokenizer: PreTrainedTokenizerBase,
        task: TaskDef,
        *,
        max_seq_len: int,
    ) -> dict[str, list]:
        if tokenizer.mask_token is None:
            raise UserError(
                f"{task.where}: {task.task_type} needs a mask token, and the tokenizer has none. Use an "
                f"encoder that was pretrained by masking, such as bert-base-uncased"
            )
        counts = [len(example.texts) - 1 for example in examples]
        words = [text.strip() for example in examples for text in example.texts[1:]]
        uids = [example.uid for example in examples for _ in example.texts[1:]]
        whole = [_slot(example.texts[0]) for example in examples]
        slots, truncated = _cut(whole, counts, words, tokenizer, max_seq_len)
        slots = [slot for slot, count in zip(slots, counts, strict=True) for _ in range(count)]
        try:
            flat = _sequences(slots, words, tokenizer, max_seq_len)
        except _NoTokenError as error:
            text = f"{task.where}: example {uids[error.index]}: {words[error.index]!r}"
            raise UserError(
                f"{text}: the tokenizer has no token for this candidate or for its pronoun, or they do "
                f"not fit in {max_seq_len} tokens"
            ) from None
        bounds = list(pairwise(accumulate(counts, initial=0)))
        columns: dict[str, list] = {
            name: [_joined(name, rows[a:b]) for a, b in bounds] for name, rows in flat.items()
        }
        if "token_type_ids" not in tokenizer.model_input_names:
            del columns["token_type_ids"]
        columns |= {"uid": [e.uid for e in examples], "truncated": truncated}
        columns |= label_columns(examples, tokenizer, task)
        for name in ("choice", "answer"):
            columns[name] = [example.extras[name] for example in examples]
        return columns


class _NoTokenError(Exception):
    """Candidate ``index`` or its pronoun has no tokens."""

    def __init__(self, index: int) -> None:
        self.index = index


def _slot(text: str) -> Slot:
    """Remove the brackets of a text with one pronoun in brackets."""
    match = PRONOUN.search(text)
    assert match is not None
    start, end = match.span()
    return Slot(text[:start] + match[1] + text[end:], start, end - 2)


def _joined(name: str, rows: list[Any]) -> list[Any]:
    """Put the two sequences of all candidates in one list; other columns stay as they are."""
    both = name in ("input_ids", "token_type_ids")
    return list(chain.from_iterable(rows)) if both else rows


def _cut(
    slots: list[Slot],
    counts: list[int],
    words: list[str],
    tokenizer: PreTrainedTokenizerBase,
    max_seq_len: int,
) -> tuple[list[Slot], list[bool]]:
    """Shorten texts that do not fit beside their longest candidate; keep the pronoun.

    Returns:
        The texts, and for each whether it was shortened.
    """
    plain: dict[str, Any] = {"add_special_tokens": False, "verbose": False}
    texts = tokenizer([slot.text for slot in slots], **plain).encodings
    lengths = [len(one.ids) for one in tokenizer(words, **plain).encodings]
    special = tokenizer.num_special_tokens_to_add(pair=True)
    found, was_cut = [], []
    for slot, text, (a, b) in zip(
        slots, texts, pairwise(accumulate(counts, initial=0)), strict=True
    ):
        room = max(max_seq_len - special - max(lengths[a:b]), MIN_ROOM)
        was_cut.append(len(text.ids) > room)
        at = _tokens(text, range(slot.start, slot.end))
        if not was_cut[-1] or not at:
            found.append(slot)
            continue
        before, after = at[0], len(text.ids) - at[0]  # the pronoun counts as after
        keep = min(before, max(room // 2, room - after))
        first = text.offsets[before - keep][0]
        last = text.offsets[before + min(after, room - keep) - 1][1]
        last = max(last, slot.end)
        found.append(Slot(slot.text[first:last], slot.start - first, slot.end - first))
    return found, was_cut


def _sequences(
    slots: list[Slot], words: list[str], tokenizer: PreTrainedTokenizerBase, max_seq_len: int
) -> dict[str, list]:
    """Tokenize both sequences of every candidate.

    Returns:
        The columns, one entry per candidate; ``input_ids`` and ``token_type_ids`` have a pair of lists.

    Raises:
        _NoTokenError: a candidate or a pronoun has no tokens.
    """
    mask = str(tokenizer.mask_token)
    filled = [slot.filled(text) for slot, text in zip(slots, words, strict=True)]
    inside = tokenizer(filled, add_special_tokens=False, verbose=False).encodings
    fill = []
    for one, slot, text in zip(inside, slots, words, strict=True):
        at = _tokens(one, range(slot.start, slot.start + len(text)))
        fill.append([one.ids[i] for i in at])
    blanked = [slot.filled(mask * len(ids)) for slot, ids in zip(slots, fill, strict=True)]
    limits: dict[str, Any] = {"truncation": True, "max_length": max_seq_len}
    first = tokenizer(blanked, **limits).encodings
    second = tokenizer([slot.text for slot in slots], words, **limits).encodings
    columns: dict[str, list] = {
        "input_ids": [[one.ids, two.ids] for one, two in zip(first, second, strict=True)],
        "token_type_ids": [
            [one.type_ids, two.type_ids] for one, two in zip(first, second, strict=True)
        ],
        "fill": fill,
        "blank_at": [],
        "pronoun_at": [],
        "candidate_at": [],
    }
    for index, (slot, one, two) in enumerate(zip(slots, first, second, strict=True)):
        width = len(fill[index])
        blanks = _tokens(one, range(slot.start, slot.start + width * len(mask), len(mask)))
        pronoun = _tokens(two, range(slot.start, slot.end))
        candidate = [place for place, text in enumerate(two.sequence_ids) if text == 1]
        if not (blanks and pronoun and candidate) or len(blanks) != width:
            raise _NoTokenError(index)
        columns["blank_at"].append(blanks)
        columns["pronoun_at"].append(pronoun[0])
        columns["candidate_at"].append(candidate)
    return columns


def _tokens(encoding: Any, characters: Iterable[int]) -> list[int]:
    """Return the tokens of the first text that contain one of the characters, in order."""
    found = {encoding.char_to_token(place, 0) for place in characters}
    return sorted(found - {None})
