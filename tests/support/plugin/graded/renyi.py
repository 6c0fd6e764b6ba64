"""Divergence: Renyi's of order 2, for labels that are independent of each other."""

import torch

from mt_dnn.divergences import Output, fits
from mt_dnn.registries import DIVERGENCES


@DIVERGENCES.register("bernoulli_renyi")
@fits(Output.LABELS)
def bernoulli_renyi(p_logits, q_logits, *, dim=-1, mask=None):
    """Renyi divergence of order 2 between Bernoulli distributions, summed over labels."""
    p, q = p_logits.float().sigmoid(), q_logits.float().sigmoid()
    values = torch.log(p * p / q + (1 - p) * (1 - p) / (1 - q))
    if mask is not None:
        values = values.masked_fill(~mask.bool(), 0.0)
    return values.sum(dim)
