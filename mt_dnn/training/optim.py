"""Frozen parameters, parameter groups and the optimizer of a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatch
from itertools import chain

from torch import nn
from torch.optim import Optimizer

from data_utils.errors import UserError
from data_utils.registry import nearest
from mt_dnn.config.run import OptimConfig, RunConfig
from mt_dnn.encoders.adapters import plain_name
from mt_dnn.model import MTDNN
from mt_dnn.objective.objective import Objective
from mt_dnn.registries import OPTIMIZERS
from mt_dnn.training.optimizers import Group


def freeze(model: nn.Module, patterns: tuple[str, ...]) -> int:
    """Freeze all parameters whose name matches a pattern; return their number of elements.

    Args:
        patterns: shell-style patterns of parameter names, such as ``encoder.*``. Of an encoder with an
            adapter, names are those without PEFT (:func:`mt_dnn.encoders.adapters.plain_name`).

    Raises:
        UserError: a pattern matches no parameter.
    """
    frozen = 0
    named = [(plain_name(name), p) for name, p in model.named_parameters()]
    for pattern in patterns:
        matching = [p for name, p in named if fnmatch(name, pattern)]
        if not matching:
            hint = _patterns_hint(pattern, [name for name, _ in named])
            raise UserError(f"optim.freeze: {pattern!r} matches no parameter.{hint}")
        for parameter in matching:
            parameter.requires_grad_(False)
            frozen += parameter.numel()
    return frozen


def _patterns_hint(pattern: str, names: list[str]) -> str:
    """Return the most similar pattern, and patterns that together match all parameters.

    Example:
        >>> _patterns_hint("encodr.*", ["encoder.layer.0.bias", "encoder.layer.1.bias", "heads.rte.bias"])
        " Did you mean 'encoder.*'? Choices: encoder.layer.0.* to encoder.layer.1.*, heads.rte.*."
    """
    groups: dict[str, list[str]] = {}  # without the number -> the patterns of the layers, in order
    for name in names:
        layer = re.match(r"(encoder\..*?\.)\d+\.", name)
        depth = 2 if name.startswith("heads.") else 3
        own = layer[0] if layer else "".join(f"{part}." for part in name.split(".")[:-1][:depth])
        found = groups.setdefault(layer[1] if layer else own, [])
        if f"{own}*" not in found:
            found.append(f"{own}*")
    whole = [f"{name.partition('.')[0]}.*" for name in names]
    near = nearest(pattern, [*whole, *chain.from_iterable(groups.values()), *names])
    choices = [own[0] if len(own) == 1 else f"{own[0]} to {own[-1]}" for own in groups.values()]
    return f"{f' Did you mean {near!r}?' if near else ''} Choices: {', '.join(choices)}."


def parameter_groups(
    model: MTDNN, config: OptimConfig, *, terms: nn.Module | None = None
) -> list[Group]:
    """Group the trainable parameters by learning rate and weight decay.

    ``peak_lr`` of a group is the learning rate that the schedule scales; ``name`` says which parameters
    have it, such as ``encoder+heads``, ``heads`` or ``layer_3``. Biases, norms and all other
    vectors have no weight decay. With ``layer_decay`` = d, encoder layer l of L has the learning rate
    lr * d^(L + 1 - l), where the embeddings are layer 0 (Howard and Ruder, arXiv 1801.06146,
    section 3.1). Heads and parameters of loss terms have the learning rate head_lr.

    Args:
        terms: the loss terms; their parameters follow those of the model, under names that begin
            with ``terms.``.

    Raises:
        UserError: all parameters are frozen.
    """
    groups: dict[tuple[float, float], list[tuple[str, nn.Parameter]]] = {}
    places: dict[float, dict[str, None]] = {}
    top = model.encoder.num_layers + 1
    learnt = terms.named_parameters(prefix="terms") if terms is not None else ()
    for name, parameter in chain(model.named_parameters(), learnt):
        if not parameter.requires_grad:
            continue
        if name.startswith("encoder."):
            depth = model.encoder.layer_of(name.removeprefix("encoder."))
            lr = config.lr * config.layer_decay ** (top - depth)
            layer = {0: "embeddings", top: "above_layers"}.get(depth, f"layer_{depth}")
            place = "encoder" if config.layer_decay == 1 else layer
        else:
            lr = config.lr if config.head_lr is None else config.head_lr
            place = "heads"
        places.setdefault(lr, {})[place] = None
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((lr, decay), []).append((name, parameter))
    if not groups:
        raise UserError("optim.freeze: all parameters are frozen; leave some to train")
    return [
        {
            "params": parameters,
            "name": "+".join(places[lr]),
            "peak_lr": lr,
            "lr": lr,
            "weight_decay": decay,
        }
        for (lr, decay), parameters in groups.items()
    ]


BuildOptimizer = Callable[[Objective, RunConfig], Optimizer]


def build_optimizer(objective: Objective, config: RunConfig) -> Optimizer:
    """Build the optimizer that ``optim.name`` selects; see mt_dnn/training/optimizers.py.

    Args:
        objective: its model, and the parameters of its terms, are trained.
        config: resolved.

    Raises:
        UserError: ``optim.lr`` is not positive, all parameters are frozen, or the optimizer refuses an option.
    """
    optim = config.optim
    if not optim.lr > 0:  # written so that NaN fails
        raise UserError(f"optim.lr: {optim.lr} is not positive; use a value above 0, such as 5e-5")
    build = OPTIMIZERS.get(optim.name, "optim.name")
    groups = parameter_groups(objective.model, optim, terms=objective.terms)
    trained = dict(
        chain.from_iterable(group["params"] for group in groups)
    )  # before torch changes it
    try:
        optimizer = build(groups, optim, **optim.options)
    except UserError:
        raise
    except ValueError as error:  # a value that torch refuses
        raise UserError(
            f"optim.options: {optim.name} does not take {optim.options}: {error}"
        ) from error
    _check_optimizer(optimizer, trained, f"optim.name: {optim.name}")
    return optimizer


def _check_optimizer(optimizer: Optimizer, trained: dict[str, nn.Parameter], where: str) -> None:
    """Check that an optimizer was built from the groups of all trained parameters.

    Raises:
        UserError: it lacks parameters, or groups without ``peak_lr``, whose rate no setting would change.
    """
    if not isinstance(optimizer, Optimizer):
        raise UserError(f"{where} built {optimizer!r}; it must return a torch Optimizer")
    its = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    left = [name for name, parameter in trained.items() if id(parameter) not in its]
    if left:
        raise UserError(
            f"{where} leaves out {len(left)} of the trainable parameters, such as {left[0]}; build it "
            f"from all groups"
        )
    if not all("peak_lr" in group for group in optimizer.param_groups):
        raise UserError(
            f"{where}: a parameter group has no peak_lr, so optim.lr and the schedule would not reach "
            f"it; build the optimizer from the groups that it receives"
        )


def set_learning_rate(optimizer: Optimizer, factor: float) -> None:
    """Set every group's learning rate to ``factor`` times its peak.

    The peak of a group without ``peak_lr`` is the learning rate that it has at the first call.
    """
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("peak_lr", group["lr"]) * factor


def group_rates(optimizer: Optimizer) -> dict[str, float]:
    """Learning rates of the last update by tag, ``train/lr/<group>``; empty if all groups have one name.

    Groups that differ in weight decay only have one name. A group without a name has its number.
    """
    rates = {
        f"train/lr/{group.get('name', f'group_{number}')}": float(group["lr"])
        for number, group in enumerate(optimizer.param_groups)
    }
    return rates if len(rates) > 1 else {}
