"""Choice between float32 and autocast for the passes of the smoothness term, ``precision: auto``.

bfloat16 resolves steps of 0.4% to 0.8% of a number. A perturbation that is much smaller than what it
is added to is rounded away, and R_s then measures rounding.

From 1% of the root mean square on, the rounding no longer decides, but autocast is not exact: the size of
R_s agrees with float32, and its gradient differs less than two draws of noise and dropout masks do
(benchmarks/README.md).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.randomness import dropout_off

SHARE = 0.01
"""Smallest radius and smallest initial noise for autocast, as a share of the root mean square."""
SAMPLE_LENGTH = 128
"""Tokens of the sequence on which the output of the embedding block is measured."""
SENTENCE_LENGTH = 512
"""Tokens of a sentence whose norm is bounded, to compare an l2 or l1 radius with one coordinate."""


class Precision(NamedTuple):
    """A choice of precision and what it rests on."""

    choice: Literal["float32", "autocast"]
    size: float
    """Root mean square of what is perturbed."""
    smallest: float
    """The smaller one of radius and initial noise, per coordinate."""

    @property
    def threshold(self) -> float:
        """Smallest radius and noise for autocast."""
        return SHARE * self.size


def choose_precision(encoder: Encoder, config: SmoothnessConfig) -> Precision:
    """Choose the precision of ``precision: auto`` on a loaded encoder.

    The choice is autocast if the radius and the scale of the initial noise are both at least 1% of
    the root mean square of what is perturbed. A radius in l2 or l1 counts as the size of one coordinate
    of D equal ones, epsilon / sqrt(D) or epsilon / D; a sentence is taken to have 512 tokens. With
    ``ascent: none`` the radius has no effect and does not count.

    Args:
        encoder: with its pretrained weights; the measurement waits for the device once.
        config: resolved.
    """
    assert config.epsilon is not None
    assert config.sigma is not None
    values = sample(encoder, str(config.space))
    size, width = float(values.detach().double().square().mean().sqrt()), values.shape[-1]
    dimensions = width * (SENTENCE_LENGTH if config.norm_scope == "sentence" else 1)
    shrink = {"linf": 1.0, "l2": math.sqrt(dimensions), "l1": float(dimensions)}[str(config.norm)]
    smallest = config.sigma
    if config.ascent != "none":
        smallest = min(config.sigma, config.epsilon / shrink)
    unperturbed = config.ascent == "none" and config.noise == "zero"
    wide = unperturbed or smallest >= SHARE * size
    return Precision("autocast" if wide else "float32", size, smallest)


@torch.no_grad()
def sample(encoder: Encoder, space: str) -> Tensor:
    """Return examples of the vectors that are perturbed, (..., E) or (..., H).

    For ``words`` they are the whole table of word embeddings, for ``embedding_output`` the output of the
    embedding block, without dropout, on words from all parts of the vocabulary.

    Raises:
        UserError: the architecture has no known embedding block.
    """
    table = encoder.model.get_input_embeddings().weight
    assert isinstance(table, Tensor)
    if space == "words":
        return table
    positions = getattr(encoder.config, "max_position_embeddings", None) or SAMPLE_LENGTH
    # RoBERTa's position table has two rows more than the model has positions.
    length = max(1, min(SAMPLE_LENGTH, positions - 2))
    ids = torch.linspace(0, len(table) - 1, length, device=table.device).long().unsqueeze(0)
    with dropout_off(encoder):
        return encoder.embedding_output(encoder.embed(ids), None)
