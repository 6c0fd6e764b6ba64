"""Gradient combination: gradients of equal length, so that no task outweighs another."""

import torch

from mt_dnn.registries import COMBINATIONS


@COMBINATIONS.register("equal_norms")
def equal_norms(gradients, *, floor: float = 1e-12):
    """Sum of the tasks' gradients, each scaled to their mean norm."""
    norms = torch.stack(list(gradients.norms().values()))  # (K,)
    return gradients.weighted(norms.mean() / norms.clamp_min(floor))
