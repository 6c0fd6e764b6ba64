"""A sentence and a varying number of candidates, each with its own label."""

from __future__ import annotations

from itertools import accumulate, chain, pairwise
from typing import Any, ClassVar

from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.formats.base import FORMATS, Example, Row, encode_pairs, parse_labels
from data_utils.task_def import TaskDef


class PremiseAndMultiHypothesis:
    label_per = "candidate"
    options: ClassVar[dict[str, Any]] = {}
    columns: tuple[str, ...] = ("uid", "ruid", "label", "premise", "hypothesis*")

    def parse(self, row: Row, task: TaskDef) -> Example:
        hypotheses = candidates(row)
        label = parse_labels(row, task, count=len(hypotheses), what="candidates", separator=",")
        uid = row.text("uid")
        given = row.items("ruid", separator=",") if row.values.get("ruid") else []
        numbers = range(len(hypotheses))
        ruid = given if len(given) == len(hypotheses) else [f"{uid}-{i}" for i in numbers]
        return Example(uid, (row.text("premise"), *hypotheses), label, {"ruid": ruid})

    def encode(
        self,
        examples: list[Example],
        tokenizer: PreTrainedTokenizerBase,
        task: TaskDef,
        *,
        max_seq_len: int,
    ) -> dict[str, list]:
        """``input_ids`` and ``token_type_ids`` hold one list per candidate of each example."""
        second = list(chain.from_iterable(e.texts[1:] for e in examples))
        first = list(chain.from_iterable([e.texts[0]] * (len(e.texts) - 1) for e in examples))
        flat = encode_pairs(first, second, tokenizer, max_seq_len)
        bounds = list(pairwise(accumulate((len(e.texts) - 1 for e in examples), initial=0)))
        columns: dict[str, list] = {
            name: [rows[a:b] for a, b in bounds] for name, rows in flat.items()
        }
        columns["truncated"] = [any(cut) for cut in columns["truncated"]]
        columns |= {"uid": [e.uid for e in examples], "labels": [e.label for e in examples]}
        if "ruid" in examples[0].extras:
            columns["ruid"] = [e.extras["ruid"] for e in examples]
        return columns


def candidates(row: Row) -> list[str]:
    """The texts of column ``hypothesis``.

    Raises:
        UserError: none, or one text that is not in a list.
    """
    found = row.values.get("hypothesis")
    if isinstance(found, str) or not found:
        raise UserError(f"{row.where}: no candidates; 'hypothesis' must be a list of texts")
    return [str(text) for text in found]


FORMATS.register("PremiseAndMultiHypothesis")(PremiseAndMultiHypothesis())
