"""What several data formats share: how a row's label is parsed and its texts are encoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from data_utils.errors import UserError
from data_utils.formats.base import DroppedRow, Example, Row
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.task_def import TaskDef

TARGET_OPTION = "max_target_len"
"""Option of a task: greatest length of a text label in tokens."""
MAX_TARGET_LEN = 64
"""Greatest length of a text label in tokens, for tasks without the option ``max_target_len``."""
EXAMPLE_LABELS = tuple(
    LabelSpec(kind, LabelUnit.EXAMPLE)
    for kind in (LabelKind.CLASS, LabelKind.NUMBER, LabelKind.SET, LabelKind.TEXT)
)
"""The label specifications that :func:`parse_label` supports."""
EXAMPLE_TOKEN_ROWS = EXAMPLE_LABELS[:2]
"""Those that MT-DNN's tokenized rows support: a class id or a number."""


def parse_label(row: Row, task: TaskDef) -> Any:
    """Parse the label of a row, in the form that the task type requires.

    Returns:
        The encoded label, or None for an empty cell, as in test splits.

    Raises:
        UserError: the label is not valid for the task.
        DroppedRow: the label is ``-``, which NLI corpora use if the annotators disagree.
    """
    if task.label.kind is LabelKind.SET:
        return _label_set(row, task)
    text = row.text("label")
    if text.strip() == "":
        return None
    if text.strip() == "-" and "-" not in task.labels:
        raise DroppedRow("without gold label")  # SNLI, MNLI, OCNLI: annotators disagreed
    if task.label.kind is LabelKind.TEXT:
        return _encoded(row, task.checked_word, text)
    return _encoded(row, task.encode_label, text)


def parse_labels(
    row: Row, task: TaskDef, *, count: int, what: str, separator: str | None = None
) -> list | None:
    """Parse a list of labels, one for each candidate or word of a row.

    Args:
        row: the row.
        task: its task.
        count: required number of labels.
        what: name of the labelled items for error messages, such as "words".
        separator: separator of labels in a text cell; defaults to whitespace.

    Returns:
        The encoded labels, or None for an empty cell.

    Raises:
        UserError: a label is not valid for the task, or the number of labels is wrong.
    """
    cells = row.items("label", separator=separator)
    if not cells and count:
        return None
    if len(cells) != count or not all(str(cell).strip() for cell in cells):
        raise UserError(
            f"{row.where}: {len(cells)} labels for {count} {what}; give one label for each, separated "
            f"by {'commas' if separator else 'spaces'}, or a list"
        )
    return [_encoded(row, task.encode_label, str(cell)) for cell in cells]


def _label_set(row: Row, task: TaskDef) -> list[float] | None:
    """Parse a set of labels to an indicator vector (C,).

    The cell ``[]`` is the empty set. An empty cell means that the row is unlabelled.
    """
    value = row.values.get("label")
    if value is None or (isinstance(value, str) and value.strip() == ""):
        return None
    ids = {_encoded(row, task.encode_label, str(c)) for c in row.items("label", separator=",")}
    return [float(i in ids) for i in range(task.n_class)]


def _encoded(row: Row, encode: Callable[[str], Any], text: str) -> Any:
    """Call ``encode``; add the place of the row to its error messages."""
    try:
        return encode(text)
    except UserError as error:
        raise UserError(f"{row.where}: {error}") from None


def label_options(task: TaskDef) -> dict[str, int]:
    """Return the options that change how labels are encoded, with their defaults."""
    return {TARGET_OPTION: MAX_TARGET_LEN} if task.label.kind is LabelKind.TEXT else {}


def label_columns(
    examples: list[Example], tokenizer: PreTrainedTokenizerBase, task: TaskDef
) -> dict[str, list]:
    """Return the column ``labels``.

    Text labels are tokenized; then there is also a column ``target`` with the texts.
    """
    labels = [example.label for example in examples]
    if labels[0] is None or task.label.kind is not LabelKind.TEXT:
        return {"labels": labels}
    longest = task.options.get(TARGET_OPTION, MAX_TARGET_LEN)
    encoded = tokenizer(text_target=labels, truncation=True, max_length=longest)
    return {"labels": encoded["input_ids"], "target": labels}


def encode_pairs(
    first: list[str],
    second: list[str] | None,
    tokenizer: PreTrainedTokenizerBase,
    max_seq_len: int,
) -> dict[str, list]:
    """Tokenize sentences or sentence pairs in one batch, which fast tokenizers run in parallel.

    A pair that is too long is truncated from its longer sentence first; ``truncated`` marks such
    rows. Pairs always have ``token_type_ids``, with 1 on the second sentence, even if the encoder does
    not use them: some heads compare the two sentences.

    Args:
        first: the first sentences.
        second: the second sentences, or None for single sentences.
        tokenizer: the encoder's tokenizer.
        max_seq_len: greatest length of a sequence, in tokens.

    Returns:
        The columns ``input_ids``, ``truncated`` and possibly ``token_type_ids``.
    """
    encodings = _encodings(first, second, tokenizer, max_seq_len)
    columns: dict[str, list] = {"input_ids": [encoding.ids for encoding in encodings]}
    if "token_type_ids" in tokenizer.model_input_names:
        columns["token_type_ids"] = [encoding.type_ids for encoding in encodings]
    elif second is not None:
        columns["token_type_ids"] = [pair_types(encoding.sequence_ids) for encoding in encodings]
    columns["truncated"] = [bool(encoding.overflowing) for encoding in encodings]
    return columns


def _encodings(
    first: list[str],
    second: list[str] | None,
    tokenizer: PreTrainedTokenizerBase,
    max_seq_len: int,
) -> list[Encoding]:
    """Tokenize with the tokenizer's Rust core, without the places of the tokens in the text.

    ``tokenizer(...)`` gives the same ids, but also finds these places and builds lists that are not stored,
    which takes half as long again.
    """

    def call(one: list[str], two: list[str] | None) -> list[Encoding]:
        found = tokenizer(one, two, truncation="longest_first", max_length=max_seq_len)
        return cast(list[Encoding], found.encodings)

    if any(getattr(type(tokenizer), name) is not own for name, own in _CALL.items()):
        return call(first, second)  # the class does more than its core, such as LukeTokenizer
    # This call sets the truncation of the core, and the language of a translation model.
    call(first[:1], second and second[:1])
    rows = first if second is None else list(zip(first, second, strict=True))
    return cast(list[Encoding], tokenizer.backend_tokenizer.encode_batch_fast(rows))


_CALL = {name: getattr(PreTrainedTokenizerFast, name) for name in ("__call__", "_encode_plus")}
"""The methods that pass texts to the core, as most tokenizers inherit them."""


def pair_types(sequence_ids: list[int | None]) -> list[int]:
    """Return 1 for all positions from the first token of the second sentence on, else 0.

    ``sequence_ids`` is None at special tokens.
    """
    start = sequence_ids.index(1) if 1 in sequence_ids else len(sequence_ids)
    return [0] * start + [1] * (len(sequence_ids) - start)
