"""A sentence and a varying number of candidates, each with its own label."""

from __future__ import annotations

from itertools import accumulate, chain, pairwise

from transformers import PreTrainedTokenizerBase

from data_utils.formats.base import FORMATS, Example, Row, encode_pairs, parse_label
from data_utils.registry import UserError
from data_utils.task_def import TaskDef


class PremiseAndMultiHypothesis:
    label_per = "candidate"
    columns: tuple[str, ...] = ("uid", "ruid", "label", "premise", "hypothesis*")

    def parse(self, row: Row, task: TaskDef) -> Example:
        candidates = row.values.get("hypothesis")
        if isinstance(candidates, str) or not candidates:
            raise UserError(f"{row.where}: no candidates; 'hypothesis' must be a list of texts")
        label = self._labels(row, task, len(candidates))
        return Example(row.text("uid"), (row.text("premise"), *map(str, candidates)), label)

    def _labels(self, row: Row, task: TaskDef, n_candidates: int) -> list | None:
        raw = row.values.get("label")
        cells = raw if isinstance(raw, list) else row.text("label").split(",")
        labels = [parse_label(row, task, str(cell)) for cell in cells]
        if labels == [None]:
            return None
        if len(labels) != n_candidates or None in labels:
            raise UserError(
                f"{row.where}: {n_candidates} candidates but labels {row.values.get('label')!r}; "
                f"give one per candidate, separated by commas"
            )
        return labels

    def encode(
        self, examples: list[Example], tokenizer: PreTrainedTokenizerBase, max_seq_len: int
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
        return columns | {"uid": [e.uid for e in examples], "labels": [e.label for e in examples]}


FORMATS.register("PremiseAndMultiHypothesis")(PremiseAndMultiHypothesis())
