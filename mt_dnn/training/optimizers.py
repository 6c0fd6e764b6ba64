"""Optimizers by name, and several optimizers as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import Optimizer

from mt_dnn.config.run import OptimConfig

Group = dict[str, Any]
"""A parameter group: ``params``, a list of (name, parameter); ``name``, ``lr``, ``peak_lr`` and
``weight_decay``."""


class BuildOptimizer(Protocol):
    """Signature of an entry of OPTIMIZERS; keyword-only parameters are its options."""

    def __call__(self, groups: list[Group], config: OptimConfig, **options: Any) -> Optimizer:
        """Build an optimizer.

        Args:
            groups: the parameter groups. The optimizer must keep the key ``peak_lr`` of each: the
                schedule sets ``lr`` to a multiple of it before every update.
            config: the settings ``optim.*``.
            options: the settings ``optim.options``.
        """
        ...


def adamw(groups: list[Group], config: OptimConfig) -> Optimizer:
    """AdamW: Adam with decoupled weight decay (arXiv 1711.05101); fused."""
    fused = all(p.device.type in ("cuda", "cpu") for group in groups for _, p in group["params"])
    return torch.optim.AdamW(groups, betas=config.betas, eps=config.eps, fused=fused)


def radam(groups: list[Group], config: OptimConfig) -> Optimizer:
    """RAdam: Adam with a rectified variance (arXiv 1908.03265) and decoupled weight decay."""
    return torch.optim.RAdam(
        groups, betas=config.betas, eps=config.eps, decoupled_weight_decay=True, foreach=True
    )


def adamax(groups: list[Group], config: OptimConfig) -> Optimizer:
    """Adamax: Adam with the infinity norm (arXiv 1412.6980, section 7.1), decoupled weight decay."""
    optimizer = torch.optim.Adamax(
        _own_decay(groups), betas=config.betas, eps=config.eps, foreach=True
    )
    optimizer.register_step_pre_hook(_decay)
    return optimizer


def sgd(
    groups: list[Group], config: OptimConfig, *, momentum: float = 0.0, nesterov: bool = False
) -> Optimizer:
    """Stochastic gradient descent with momentum and decoupled weight decay."""
    optimizer = torch.optim.SGD(
        _own_decay(groups), lr=config.lr, momentum=momentum, nesterov=nesterov, foreach=True
    )
    optimizer.register_step_pre_hook(_decay)
    return optimizer


def _own_decay(groups: list[Group]) -> list[Group]:
    """Rename the weight decay, which torch's Adamax and SGD would add to the gradient."""
    return [
        {"decoupled_decay" if key == "weight_decay" else key: value for key, value in group.items()}
        for group in groups
    ]


@torch.no_grad()
def _decay(optimizer: Optimizer, *_: Any) -> None:
    """Decay the weights before the step, which decouples the decay from the gradient."""
    for group in optimizer.param_groups:
        factor = 1 - group["lr"] * group["decoupled_decay"]
        parameters = [p for p in group["params"] if p.grad is not None]
        if factor != 1 and parameters:
            torch._foreach_mul_(parameters, factor)


def split_groups(
    groups: Iterable[Group], condition: Callable[[str, nn.Parameter], bool]
) -> tuple[list[Group], list[Group]]:
    """Split every parameter group in two, for two optimizers.

    Args:
        groups: as in :class:`BuildOptimizer`.
        condition: called with the name of a parameter and the parameter.

    Returns:
        The groups of the parameters that meet the condition, and those of the others. Empty groups
        are left out.

    Example::

        matrices, others = split_groups(groups, lambda name, p: p.ndim == 2 and "embed" not in name)
    """
    parts: tuple[list[Group], list[Group]] = ([], [])
    for group in groups:
        for part, wanted in zip(parts, (True, False), strict=True):
            chosen = [(n, p) for n, p in group["params"] if condition(n, p) == wanted]
            if chosen:
                part.append(group | {"params": chosen})
    return parts


class CombinedOptimizer(Optimizer):
    """Several optimizers, each with parameters of its own, that step together.

    Example::

        matrices, others = split_groups(groups, lambda name, p: p.ndim == 2)
        CombinedOptimizer([torch.optim.Muon(matrices), torch.optim.AdamW(others)])
    """

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        """Combine optimizers; ``param_groups`` are those of all, in their order.

        Raises:
            ValueError: two optimizers share a parameter.
        """
        self.optimizers = list(optimizers)
        # torch keeps the dicts themselves, so a learning rate set here reaches the optimizer.
        super().__init__(chain.from_iterable(o.param_groups for o in optimizers), {})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for optimizer in self.optimizers:
            optimizer.step(closure)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all optimizers, with parameters numbered from 0 across them."""
        state: dict[int, Any] = {}
        groups: list[Group] = []
        for optimizer in self.optimizers:
            own, offset = optimizer.state_dict(), sum(len(group["params"]) for group in groups)
            state |= {offset + index: entry for index, entry in own["state"].items()}
            groups += [
                group | {"params": [offset + index for index in group["params"]]}
                for group in own["param_groups"]
            ]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore all optimizers from the result of :meth:`state_dict`."""
        groups, state = list(state_dict["param_groups"]), state_dict["state"]
        for optimizer in self.optimizers:
            own = [groups.pop(0) for _ in optimizer.param_groups]
            members = {index for group in own for index in group["params"]}
            entries = {index: entry for index, entry in state.items() if index in members}
            optimizer.load_state_dict({"state": entries, "param_groups": own})
        self.param_groups = [g for optimizer in self.optimizers for g in optimizer.param_groups]
