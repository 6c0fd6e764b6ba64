"""Gradient combination: PCGrad, which removes what conflicts between tasks."""

import torch

from mt_dnn.registries import COMBINATIONS


@COMBINATIONS.register("pcgrad")
def pcgrad(gradients):
    """Project each task's gradient off those it conflicts with (Yu et al. 2020, arXiv 2001.06782)."""
    rows = gradients.values  # (K, P)
    generator = torch.Generator().manual_seed(gradients.seed)
    projected = []
    for index, row in enumerate(rows):
        for other in torch.randperm(len(rows), generator=generator).tolist():
            dot = row @ rows[other]
            if other != index:
                row = row - dot.clamp(max=0) / rows[other].square().sum() * rows[other]
        projected.append(row)
    return torch.stack(projected).sum(0)
