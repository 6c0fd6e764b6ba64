"""Loss term: half the squared distance from the pretrained weights, L2-SP."""

import torch

from mt_dnn.objective.terms import LossTerm
from mt_dnn.registries import LOSS_TERMS


@LOSS_TERMS.register("l2_sp")
class StartingPoint(LossTerm):
    """L2-SP: half the squared distance of the encoder from its start (arXiv 1802.01483, eq. 3)."""

    tag = "l2_sp"

    def __init__(self, model, *, biases: bool = True):
        super().__init__()
        self.start = {
            name: parameter.detach().clone()
            for name, parameter in model.encoder.named_parameters()
            if parameter.requires_grad and (biases or parameter.ndim > 1)
        }

    def compute(self, step):
        now = dict(step.model.encoder.named_parameters())
        squares = [(now[name] - start).square().sum() for name, start in self.start.items()]
        total = torch.stack(squares).sum()
        step.note("distance", total.sqrt())
        return total / 2
