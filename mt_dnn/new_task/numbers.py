"""The rules for the numbers of a run: lengths, batches, learning rates, pooling, epochs.

experiments/new_task/study.md checks them on a small sentence encoder. The rates of larger encoders follow
BERT (arXiv 1810.04805, A.3: 2e-5 to 5e-5) and RoBERTa large (arXiv 1907.11692, table 10: 1e-5 to 3e-5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mt_dnn.config.run import MAX_SEQ_LEN
from mt_dnn.new_task.decision import Decision
from mt_dnn.new_task.encoder_facts import EncoderFacts
from mt_dnn.new_task.render import scalar

BATCH = 16
MANY_ROWS = 20_000
"""From here on, batches of 32."""
RATES = ((40e6, 1e-4), (200e6, 3e-5), (math.inf, 1e-5))
"""Parameters of the encoder up to which a learning rate is used."""
HEAD_FACTOR = 10
"""The head's learning rate is this many times that of the encoder: its weights are new."""
EPOCHS = ((300, 10), (1000, 6), (5000, 4), (math.inf, 3))
"""Rows up to which a number of epochs is used."""
FEW_ROWS = 400
"""Up to here, the study has data sets on which a run is not above TF-IDF."""
COVERED = 0.99
"""Share of the rows that max_seq_len covers."""


def max_seq_len(lengths: Sequence[int], encoder: EncoderFacts) -> Decision:
    """Choose the length that covers 99% of the rows, rounded up to a multiple of 8.

    Args:
        lengths: tokens of the rows, special tokens included.
    """
    ordered = sorted(lengths)
    needed = ordered[math.ceil(COVERED * len(ordered)) - 1]
    longest = min(MAX_SEQ_LEN, encoder.positions or MAX_SEQ_LEN)
    chosen = min(max(16, math.ceil(needed / 8) * 8), longest)
    cut = sum(length > chosen for length in ordered)
    return Decision(
        chosen,
        f"99% of the rows looked at have at most {needed} tokens, the longest has {ordered[-1]}; {cut} of "
        f"{len(ordered)} are truncated",
        unsure=cut > 0.05 * len(ordered),
    )


def batch_size(rows: int) -> Decision:
    """Choose the batch size by the number of training rows."""
    if rows > MANY_ROWS:
        return Decision(32, f"{rows} rows are enough for larger batches")
    return Decision(BATCH, f"small batches give {rows} rows more updates")


def learning_rate(encoder: EncoderFacts) -> Decision:
    """Choose the peak learning rate of the encoder by its size."""
    rate = next(rate for size, rate in RATES if encoder.parameters <= size)
    millions = encoder.parameters / 1e6
    studied = (
        "tried on an encoder of 22.7M" if millions <= RATES[0][0] / 1e6 else "usual for this size"
    )
    return Decision(
        rate,
        f"the encoder has {millions:.1f}M parameters; larger ones need smaller rates; {studied}",
        alternatives=(
            f"lr: {scalar(rate / 2)}    # if the loss jumps or the scores of seeds differ much",
            f"lr: {scalar(rate * 2)}    # if the loss falls slowly",
        ),
    )


def head_learning_rate(encoder: EncoderFacts) -> Decision:
    """Choose the peak learning rate of the head."""
    rate = HEAD_FACTOR * float(learning_rate(encoder).value)
    return Decision(rate, f"{HEAD_FACTOR} times lr: the weights of the head are new")


def pooling(encoder: EncoderFacts, *, texts: int) -> Decision:
    """Choose the pooling by what the encoder was trained for.

    Args:
        texts: texts in a row, 1 or 2.
    """
    if encoder.is_sentence_encoder and texts == 2:
        return Decision(
            "pair",
            "a sentence encoder: it was trained so that the means of two texts are comparable",
            alternatives=("pooling: cls",),
        )
    if encoder.is_sentence_encoder:
        return Decision(
            "mean",
            "a sentence encoder: it was trained to put the meaning of a text into the mean",
            alternatives=("pooling: cls",),
        )
    return Decision(
        "cls",
        "the first token, as in BERT; no file says that this is a sentence encoder",
        alternatives=("pooling: mean", *(("pooling: pair",) if texts == 2 else ())),
    )


def epochs(rows: int) -> Decision:
    """Choose the number of epochs by the number of training rows."""
    count = next(count for limit, count in EPOCHS if rows <= limit)
    updates = count * math.ceil(rows / int(batch_size(rows).value))
    few = rows <= FEW_ROWS
    return Decision(
        count,
        f"{rows} rows: {updates} updates; fewer rows need more epochs. best/ is the best epoch"
        + ("; so few rows may not be enough to beat TF-IDF: compare with it" if few else ""),
        unsure=few,
    )
