"""Data format: the turns of a dialogue, and a label."""

from data_utils.formats import DataFormat, Example
from data_utils.formats.rows import EXAMPLE_LABELS, encode_pairs, label_columns, parse_label
from data_utils.registries import FORMATS


@FORMATS.register("Dialogue")
class Dialogue(DataFormat):
    """The turns of a dialogue with one label. The last turn is the second text of the encoder."""

    labels = EXAMPLE_LABELS
    columns = ("uid", "label", "turn*")
    text_columns = ("turn",)
    options = {"turns": 3}  # of the turns before the last, the model reads this many

    def parse(self, row, task):
        turns = [str(turn) for turn in row.items("turn", separator="|")]
        return Example(row.text("uid"), tuple(turns), parse_label(row, task))

    def encode(self, examples, tokenizer, task, *, max_seq_len):
        turns = task.options["turns"]
        history = [" ".join(e.texts[-1 - turns : -1]) for e in examples]
        columns = encode_pairs(history, [e.texts[-1] for e in examples], tokenizer, max_seq_len)
        return (
            columns | {"uid": [e.uid for e in examples]} | label_columns(examples, tokenizer, task)
        )
