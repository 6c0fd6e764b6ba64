"""Data format: a sentence and any number of candidates, each with its own label."""

from __future__ import annotations

from itertools import accumulate, chain, pairwise
from typing import Any, ClassVar

import numpy as np
from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.formats.base import DataFormat, Example, Row, label_number
from data_utils.formats.rows import encode_pairs, label_columns, parse_labels
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.task_def import TaskDef

RELEVANCE = (LabelSpec(LabelKind.RELEVANCE, LabelUnit.CANDIDATE),)


class PremiseAndMultiHypothesis(DataFormat):
    """A sentence and any number of candidates, each with its own label.

    The column ``ruid`` has an id for each candidate; it defaults to ``{uid}-{position}``.
    """

    labels: ClassVar[tuple[LabelSpec, ...]] = RELEVANCE
    token_row_labels: ClassVar[tuple[LabelSpec, ...]] = RELEVANCE
    columns: ClassVar[tuple[str, ...]] = ("uid", "ruid", "label", "premise", "hypothesis*")
    text_columns: ClassVar[tuple[str, ...]] = ("premise", "hypothesis*")
    has_candidates: ClassVar[bool] = True

    def parse(self, row: Row, task: TaskDef) -> Example:
        hypotheses = candidates(row)
        label = parse_labels(row, task, count=len(hypotheses), what="candidates", separator=",")
        uid = row.text("uid")
        given = row.items("ruid", separator=",") if row.values.get("ruid") else []
        numbers = range(len(hypotheses))
        ruid = [f"{uid}-{i}" for i in numbers]
        if len(given) == len(hypotheses):
            ruid = [row.checked(one, "ruid") for one in given]
        return Example(uid, (row.text("premise"), *hypotheses), label, {"ruid": ruid})

    def encode(
        self,
        examples: list[Example],
        tokenizer: PreTrainedTokenizerBase,
        task: TaskDef,
        *,
        max_seq_len: int,
    ) -> dict[str, list]:
        """Tokenize examples; ``input_ids`` and ``token_type_ids`` have one list per candidate."""
        second = list(chain.from_iterable(e.texts[1:] for e in examples))
        first = list(chain.from_iterable([e.texts[0]] * (len(e.texts) - 1) for e in examples))
        flat = encode_pairs(first, second, tokenizer, max_seq_len)
        bounds = list(pairwise(accumulate((len(e.texts) - 1 for e in examples), initial=0)))
        columns: dict[str, list] = {
            name: [rows[a:b] for a, b in bounds] for name, rows in flat.items()
        }
        columns["truncated"] = [any(cut) for cut in columns["truncated"]]
        columns |= {"uid": [e.uid for e in examples]} | label_columns(examples, tokenizer, task)
        if "ruid" in examples[0].extras:
            columns["ruid"] = [e.extras["ruid"] for e in examples]
        return columns

    def soft_label_shape(self, row: dict[str, Any], n_class: int) -> tuple[int, ...]:
        """Return (K,), K being the number of candidates."""
        return (len(row["input_ids"]),)

    def export_label(self, row: dict[str, Any], task: TaskDef) -> dict[str, Any]:
        """``ruid``, the position of the best candidate, and all candidates' labels."""
        values: dict[str, Any] = {"ruid": row["ruid"]}
        label = row.get("labels")
        if label is not None:
            values |= {"label": int(np.argmax(label)), "olabel": label.tolist()}
        return values

    def import_label(self, row: Row, task: TaskDef) -> dict[str, Any]:
        count = len(row.values["token_id"])
        columns = {}
        for key, own in (("ruid", "ruid"), ("olabel", "labels")):
            values = row.values[key] if key == "ruid" else row.values.get(key)
            if values in (None, ""):
                continue
            if not isinstance(values, list) or len(values) != count:
                raise UserError(
                    f"{row.where}: {key}: {values!r:.60} is not a list with one entry for each of "
                    f"{count} candidates"
                )
            columns[own] = [
                str(value) if key == "ruid" else label_number(row, task, value) for value in values
            ]
        return columns


def candidates(row: Row) -> list[str]:
    """Return the texts of column ``hypothesis``.

    Raises:
        UserError: the column is missing, empty, or not a list.
    """
    found = row.values.get("hypothesis")
    if not isinstance(found, (list, tuple)) or not found:
        raise UserError(f"{row.where}: no candidates; 'hypothesis' must be a list of texts")
    return [row.checked(text, "hypothesis") for text in found]
