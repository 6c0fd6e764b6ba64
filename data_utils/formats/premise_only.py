"""One sentence."""

from __future__ import annotations

from data_utils.formats.base import FORMATS, Example, encode_pairs, parse_label


class PremiseOnly:
    columns = ("uid", "label", "premise")

    def parse(self, row, task):
        return Example(row.text("uid"), (row.text("premise"),), parse_label(row, task))

    def encode(self, examples, tokenizer, max_seq_len):
        columns = encode_pairs([e.texts[0] for e in examples], None, tokenizer, max_seq_len)
        return columns | {"uid": [e.uid for e in examples], "labels": [e.label for e in examples]}


FORMATS.register("PremiseOnly")(PremiseOnly())
