"""Parameter groups and optimizers."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from data_utils.errors import UserError
from mt_dnn.config.run import OptimConfig
from mt_dnn.model import MTDNN


def freeze(model: nn.Module, patterns: tuple[str, ...]) -> int:
    """Freeze all parameters whose name matches a pattern; return their number of elements.

    Args:
        patterns: shell-style patterns of parameter names, such as ``encoder.*``.

    Raises:
        UserError: a pattern matches no parameter.
    """
    frozen = 0
    for pattern in patterns:
        matching = [p for name, p in model.named_parameters() if fnmatch(name, pattern)]
        if not matching:
            names = ", ".join([name for name, _ in model.named_parameters()][:4])
            raise UserError(
                f"optim.freeze: {pattern!r} matches no parameter; parameter names are {names}, …"
            )
        for parameter in matching:
            parameter.requires_grad_(False)
            frozen += parameter.numel()
    return frozen


def parameter_groups(model: MTDNN, config: OptimConfig) -> list[dict[str, Any]]:
    """Group the trainable parameters by learning rate and weight decay.

    ``peak_lr`` of a group is the learning rate that the schedule scales. Biases, norms and all other
    vectors have no weight decay. With ``layer_decay`` = d, encoder layer l of L has the learning rate
    lr * d^(L + 1 - l), where the embeddings are layer 0 (Howard and Ruder, arXiv 1801.06146,
    section 3.1).

    Raises:
        UserError: all parameters are frozen.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    top = model.encoder.num_layers + 1
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("encoder."):
            depth = model.encoder.layer_of(name.removeprefix("encoder."))
            lr = config.lr * config.layer_decay ** (top - depth)
        else:
            lr = config.lr if config.head_lr is None else config.head_lr
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((lr, decay), []).append(parameter)
    if not groups:
        raise UserError("optim.freeze: all parameters are frozen; leave some to train")
    return [
        {"params": parameters, "peak_lr": lr, "lr": lr, "weight_decay": decay}
        for (lr, decay), parameters in groups.items()
    ]


def build_optimizer(model: MTDNN, config: OptimConfig, device: torch.device) -> Optimizer:
    """Build AdamW (fused), Adamax or RAdam, all with decoupled weight decay (arXiv 1711.05101).

    Raises:
        UserError: ``optim.lr`` is not positive, or all parameters are frozen.
    """
    if not config.lr > 0:  # written so that NaN fails
        raise UserError(f"optim.lr: {config.lr} is not positive; use a value above 0, such as 5e-5")
    groups = parameter_groups(model, config)
    options: dict[str, Any] = {"betas": config.betas, "eps": config.eps}
    if config.name == "adamw":
        return torch.optim.AdamW(groups, fused=device.type in ("cuda", "cpu"), **options)
    if config.name == "radam":
        return torch.optim.RAdam(groups, decoupled_weight_decay=True, foreach=True, **options)
    # torch's Adamax adds the decay to the gradient. Decaying the weights before the step decouples it.
    for group in groups:
        group["decoupled_decay"] = group.pop("weight_decay")
    optimizer = torch.optim.Adamax(groups, foreach=True, **options)
    optimizer.register_step_pre_hook(_decay)
    return optimizer


@torch.no_grad()
def _decay(optimizer: Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        factor = 1 - group["lr"] * group["decoupled_decay"]
        parameters = [p for p in group["params"] if p.grad is not None]
        if factor != 1 and parameters:
            torch._foreach_mul_(parameters, factor)


def set_learning_rate(optimizer: Optimizer, factor: float) -> None:
    """Set every group's learning rate to ``factor`` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
