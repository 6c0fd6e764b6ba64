"""A sentence pair."""

from __future__ import annotations

from data_utils.formats.base import FORMATS, Example, encode_pairs, parse_label


class PremiseAndOneHypothesis:
    columns = ("uid", "label", "premise", "hypothesis")

    def parse(self, row, task):
        texts = (row.text("premise"), row.text("hypothesis"))
        return Example(row.text("uid"), texts, parse_label(row, task))

    def encode(self, examples, tokenizer, max_seq_len):
        first, second = ([e.texts[i] for e in examples] for i in (0, 1))
        columns = encode_pairs(first, second, tokenizer, max_seq_len)
        return columns | {"uid": [e.uid for e in examples], "labels": [e.label for e in examples]}


FORMATS.register("PremiseAndOneHypothesis")(PremiseAndOneHypothesis())
