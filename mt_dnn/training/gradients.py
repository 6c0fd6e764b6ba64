"""Collect each task's gradient on the encoder, compare them, and combine them before the optimizer's step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations

import torch
from torch import Tensor, nn

from data_utils.errors import UserError
from mt_dnn.config.run import OptimConfig
from mt_dnn.registries import COMBINATIONS

CHUNK = 2**18
"""Number of parameters whose products are summed in one step of :attr:`Gradients.gramian`."""


@dataclass(frozen=True)
class Gradients:
    """The gradients of one update on the shared encoder: K rows of P numbers, one row per task."""

    rows: tuple[Tensor, ...]
    """K tensors (P,). Their sum is the gradient of plain training: each row includes the weight of its task
    and the division by the number of batches, and is the mean over all processes."""
    tasks: tuple[str, ...]
    """The tasks of the rows, in the order of their first batch in the update."""
    seed: int
    """Seed for random choices, such as the order of the tasks; differs from update to update, and is the same
    in all processes."""

    @property
    def values(self) -> Tensor:
        """The rows as a matrix, (K, P); a copy, which needs the memory of all rows once more."""
        return torch.stack(self.rows)

    @cached_property
    def gramian(self) -> Tensor:
        """The inner products of the rows, (K, K), on their device; in float64 where the device has it."""
        device = self.rows[0].device
        exact = torch.float32 if device.type == "mps" else torch.float64
        total = torch.zeros(len(self.rows), len(self.rows), dtype=exact, device=device)
        for parts in zip(*(row.split(CHUNK) for row in self.rows), strict=True):
            block = torch.stack(parts).to(exact)  # (K, CHUNK)
            total += block @ block.T
        return total

    def weighted(self, weights: Tensor) -> Tensor:
        """Return sum_k weights_k row_k, (P,), for weights (K,)."""
        first, *others = weights.tolist()
        total = first * self.rows[0]
        for weight, row in zip(others, self.rows[1:], strict=True):
            total.add_(row, alpha=weight)
        return total

    def norms(self) -> dict[str, Tensor]:
        """Task -> norm of its gradient."""
        return dict(zip(self.tasks, self.gramian.diagonal().sqrt(), strict=True))

    def cosines(self) -> dict[tuple[str, str], Tensor]:
        """Pair of tasks in alphabetical order -> cosine of their gradients; 0 if one of them is 0."""
        norms = self.gramian.diagonal().sqrt()
        scale = torch.outer(norms, norms)
        cosines = torch.where(scale > 0, self.gramian / scale, 0.0)
        order = sorted(range(len(self.tasks)), key=lambda k: self.tasks[k])
        return {(self.tasks[i], self.tasks[j]): cosines[i, j] for i, j in combinations(order, 2)}


Combination = Callable[..., Tensor]
"""``combination(gradients, **options)``: :class:`Gradients` -> the gradient to use, (P,). Or a class: created
with its options, and its objects are called as ``combination(gradients)``."""


def sum_gradients(gradients: Gradients) -> Tensor:
    """Sum the gradients of all tasks, as plain gradient accumulation does."""
    return gradients.values.sum(0)


def build_combination(config: OptimConfig) -> Callable[[Gradients], Tensor] | None:
    """Build what ``optim.combine`` names; None for a plain sum, which needs nothing.

    Raises:
        UserError: a package is missing, or an option is out of range.
    """
    if config.combine == "sum":
        return None
    combine = COMBINATIONS.get(config.combine, "optim.combine")
    if isinstance(combine, type):
        return combine(**config.combine_options)
    return partial(combine, **config.combine_options)


def collect_gradients(
    encoder: nn.Module, combine: Callable[[Gradients], Tensor] | None, *, compared: bool
) -> TaskGradients | None:
    """Return what collects the tasks' gradients; None if they are neither combined nor compared.

    Raises:
        UserError: all parameters of the encoder are frozen.
    """
    if combine is None and not compared:
        return None
    shared = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    if not shared:
        setting = "train.gradient_cosines" if combine is None else "optim.combine"
        raise UserError(
            f"{setting}: optim.freeze leaves no parameter of the encoder to train, so that the tasks share "
            f"no gradient; leave {setting} out"
        )
    return TaskGradients(shared, combine)


class TaskGradients:
    """Collects each task's gradient of an update, and replaces their sum by a combination.

    Only the encoder's parameters are combined, because no other parameters are shared by all tasks;
    the gradients of heads and loss terms are summed. It needs memory for one gradient of the encoder
    per task.

    Args:
        shared: the trainable parameters of the encoder.
        combine: an entry of COMBINATIONS, with its options bound. None: the sum, computed batch by batch as
            plain accumulation does, with equal rounding.

    Example::

        collected = TaskGradients(encoder_parameters, sum_gradients)
        for batch in batches:
            loss(batch).backward()
            collected.take(batch.task)
        figures = collected.put(seed)
        optimizer.step()
    """

    def __init__(
        self, shared: Sequence[nn.Parameter], combine: Callable[[Gradients], Tensor] | None
    ) -> None:
        self.shared = list(shared)
        self.combine = combine
        self._rows: dict[str, Tensor] = {}
        self._total: Tensor | None = None
        self._trained = [False] * len(self.shared)

    def take(self, task: str) -> None:
        """Move the gradients of the shared parameters out of ``.grad``, to those of the task."""
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.shared]
        row = torch.cat([part.flatten() for part in parts])  # (P,)
        if self.combine is None:
            self._total = row.clone() if self._total is None else self._total.add_(row)
        if task in self._rows:
            self._rows[task] += row
        else:
            self._rows[task] = row
        for index, parameter in enumerate(self.shared):
            self._trained[index] |= parameter.grad is not None
            parameter.grad = None

    def put(self, seed: int, *, scaled: bool = False) -> dict[str, Tensor]:
        """Write the combined gradient to ``.grad`` of the shared parameters, and compare the tasks' gradients.

        A parameter that had no gradient in any batch has none.

        Args:
            seed: see :class:`Gradients`.
            scaled: the gradients are multiplied by a factor, as under fp16, so that norms say nothing.

        Returns:
            Scalars by full tag, for the tasks of this update: ``train/<task>/grad_norm``,
            ``train/cosine/<task>/<task>`` for each pair in alphabetical order, and ``train/conflicts``, the
            share of the pairs with a negative cosine.
        """
        tasks, rows = zip(*self._rows.items(), strict=True)
        gradients = Gradients(rows, tasks, seed)
        if self.combine is None:
            assert self._total is not None
            combined = self._total  # (P,)
        else:
            combined = self.combine(gradients)
        if combined.shape != rows[0].shape:
            raise UserError(
                f"optim.combine: the combination returned a tensor of shape {tuple(combined.shape)}; "
                f"return one gradient of shape {tuple(rows[0].shape)}"
            )
        sizes = [parameter.numel() for parameter in self.shared]
        split = combined.split(sizes)
        for parameter, part, trained in zip(self.shared, split, self._trained, strict=True):
            parameter.grad = part.view_as(parameter) if trained else None
        self._rows.clear()
        self._total = None
        self._trained = [False] * len(self.shared)
        return dict(_figures(gradients, scaled))


def _figures(gradients: Gradients, scaled: bool) -> Iterator[tuple[str, Tensor]]:
    if not scaled:
        for task, norm in gradients.norms().items():
            yield f"train/{task}/grad_norm", norm
    cosines = gradients.cosines()
    for (one, other), cosine in cosines.items():
        yield f"train/cosine/{one}/{other}", cosine
    if cosines:
        yield "train/conflicts", torch.stack(list(cosines.values())).lt(0).double().mean()
