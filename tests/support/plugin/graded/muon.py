"""Optimizer: Muon for the matrices of the encoder's layers, AdamW for everything else."""

import torch

from mt_dnn.registries import OPTIMIZERS
from mt_dnn.training.optimizers import CombinedOptimizer, split_groups


def is_layer_matrix(name, parameter):
    return name.startswith("encoder.") and parameter.ndim == 2 and "embed" not in name


@OPTIMIZERS.register("muon")
def muon(groups, config, *, momentum: float = 0.95, nesterov: bool = True):
    """Muon for matrices of layers, AdamW for the rest (Jordan et al. 2024)."""
    matrices, others = split_groups(groups, is_layer_matrix)
    adamw = torch.optim.AdamW(others, betas=config.betas, eps=config.eps)
    if not matrices:  # the encoder is frozen
        return adamw
    # The update has the size of AdamW's, so that one learning rate serves both.
    first = torch.optim.Muon(
        matrices, momentum=momentum, nesterov=nesterov, adjust_lr_fn="match_rms_adamw"
    )
    return CombinedOptimizer([first, adamw])
