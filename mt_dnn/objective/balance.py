"""The size of a term's gradient relative to the supervised one, and a weight that follows it.

    rho_k = || w_k grad term_k || / || grad L ||        over the trained parameters of the encoder

L is the supervised loss (with distillation, the mixture) and w_k the weight of the term. lambda_s and
the radius of R_s act as one knob, because R_s grows as the square of a small radius; rho shows where
that knob stands. With a target for rho, lambda_s follows it. After each measurement on a task:

    factor <- clip( (factor + factor target / rho) / 2,  1 / 100, 100 ),     lambda_s = weight factor

Here factor target / rho is the factor at which rho would have been the target.

Cost of a measurement: one backward pass for L and one for each measured term. It draws no random
numbers and leaves the gradients of the update as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from mt_dnn.objective.step import Step
from mt_dnn.objective.terms import LossTerm

LIMIT = 100.0
"""Greatest factor between a balanced weight and the weight in the configuration."""
RATE = 0.5
"""Share of a new measurement in the factor."""
LARGEST_RHO = 1e6
"""rho where the supervised loss has no gradient, as in a task that is learnt perfectly."""
FP16_SCALE = 2.0**12
"""Scale of a loss under float16, whose small gradients would otherwise become 0."""


class Balance(nn.Module):
    """The factor of each task's weight, moved towards a target of rho.

    Args:
        tasks: names of the tasks.
        target: rho to reach.
    """

    factors: Tensor

    def __init__(self, tasks: Iterable[str], target: float) -> None:
        super().__init__()
        self.index = {task: i for i, task in enumerate(tasks)}
        self.target = target
        self.register_buffer("factors", torch.ones(len(self.index)))  # (K,) in the order of tasks

    def factor(self, task: str) -> Tensor:
        """Return the factor of a task, a scalar on the device; a view that updates change."""
        return self.factors[self.index[task]]

    @torch.no_grad()
    def update(self, task: str, rho: Tensor) -> None:
        """Move the factor of a task after a measurement; a rho of 0 or above all bounds is ignored."""
        factor = self.factors[self.index[task]]
        wanted = factor * self.target / rho
        moved = torch.lerp(factor, wanted, RATE).clamp(1 / LIMIT, LIMIT)
        usable = (rho > 0) & (rho < LARGEST_RHO)
        self.factors[self.index[task]] = torch.where(usable, moved, factor)


class RhoSchedule:
    """Chooses the batches to measure rho on: the first of each task in every interval of updates.

    Args:
        start: number of updates before the first interval, those of warmup.
        every: length of an interval in updates.

    Example::

        schedule = RhoSchedule(start=10, every=100)
        loss = objective(batch, seed=seed, measure_rho=schedule.due(update, batch.task))
    """

    def __init__(self, start: int, every: int) -> None:
        self.start = start
        self.every = every
        self.measured: dict[str, int] = {}
        """Task -> update of its last measurement."""

    def due(self, update: int, task: str) -> bool:
        """Whether to measure on this batch; if so, it counts as measured.

        Args:
            update: number of updates before this one.
            task: task of the batch.
        """
        if update < self.start:
            return False
        last = self.measured.get(task, -1)
        if last >= self.start and self._interval(last) == self._interval(update):
            return False
        self.measured[task] = update
        return True

    def _interval(self, update: int) -> int:
        return (update - self.start) // self.every

    def state_dict(self) -> dict[str, int]:
        return dict(self.measured)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self.measured = dict(state)


def measure_rho(step: Step, terms: Iterable[LossTerm], values: Mapping[str, Tensor]) -> None:
    """Measure rho of the terms that name a figure for it; note it and tell the terms.

    Does nothing if the encoder is frozen or there is no supervised loss.

    Args:
        step: the step of the values.
        terms: all terms.
        values: tag -> value of the terms that were computed, with graph. The graph is kept.
    """
    encoder = [p for p in step.model.encoder.parameters() if p.requires_grad]
    measured = [term for term in terms if term.rho_figure and term.tag in values]
    if not encoder or not measured or "loss" not in values:
        return
    supervised = gradient_norm(values["loss"], encoder)
    for term in measured:
        own = step.of(term)
        size = term.weight(own) * gradient_norm(values[term.tag], encoder)
        rho = (size / supervised).nan_to_num(0.0, posinf=LARGEST_RHO).clamp(max=LARGEST_RHO)
        own.note(term.rho_figure, rho.detach())
        term.after_rho(own, rho.detach())


def gradient_norm(value: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Compute the 2-norm of the gradient of a scalar; ``.grad`` is not touched.

    Under several processes all of them must call this; it is the norm of their mean gradient.

    Args:
        value: with graph, which is kept.
        parameters: those to differentiate for.

    Returns:
        A scalar on the device.
    """
    device = value.device.type
    low = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.float16
    scale = FP16_SCALE if low else 1.0
    found: Sequence[Tensor | None] = [None] * len(parameters)
    if value.requires_grad:
        # Autocast would round the backward pass of terms that are computed in float32.
        with torch.autocast(device, enabled=False):
            found = torch.autograd.grad(
                value * scale, parameters, retain_graph=True, allow_unused=True
            )
    gradients = [
        torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)
    ]
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        mean = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(mean)
        gradients = [mean / torch.distributed.get_world_size()]
    return torch.nn.utils.get_total_norm(gradients) / scale
