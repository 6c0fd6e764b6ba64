"""Console reports of a run: its setup, warnings and final scores."""

from __future__ import annotations

import math
from collections.abc import Mapping

from accelerate import Accelerator

from mt_dnn.config.run import RunConfig
from mt_dnn.config.unused import settings_without_effect
from mt_dnn.devices import device_name
from mt_dnn.objective.balance import LIMIT
from mt_dnn.objective.objective import Objective
from mt_dnn.objective.proximal import momentum
from mt_dnn.runs.prepare import RunData
from mt_dnn.tracking import console
from mt_dnn.training.best import selecting
from mt_dnn.training.schedule import Timeline, learning_rate_factor

WEAK_RHO = 1e-3
"""Below this rho a term cannot act."""
GOOD_RHO = 0.1
"""The rho that messages advise; 0.01 to 0.5 is where a regularizer can help."""


def show_setup(
    config: RunConfig,
    data: RunData,
    objective: Objective,
    total: int,
    accelerator: Accelerator,
) -> None:
    """Print the settings of a run before it starts, including defaults."""
    optim, batch, model = config.optim, config.batch, objective.model
    heads = "" if optim.head_lr is None else f" (heads {optim.head_lr:g})"
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    of = ""
    if config.model.adapter is not None:
        count = sum(p.numel() for p in model.parameters())
        of = f" of {count / 1e6:.1f}M, adapter {config.model.adapter}"
    facts = {
        "encoder": f"{config.model.encoder}, {trained / 1e6:.1f}M trainable parameters{of}",
        "device": f"{device_name(accelerator)}, {config.system.precision}, attention {model.encoder.attention}",
    }
    for name, store in data.train.items():
        whole = store.manifest.sequences
        part = f" (a subset of {whole})" if len(store) < whole else ""
        sets = ", ".join(
            f"{len(dev)} {dataset}"
            for dataset, dev in data.dev.items()
            if dev.manifest.task == name
        )
        facts[f"task {name}"] = (
            f"{data.tasks[name].task_type}, {len(store)} train{part}, dev: {sets or 'none'}"
        )
    if (chosen := selecting(data)) != tuple(data.dev):
        facts["selected on"] = ", ".join(chosen)
    if config.data.eval_limit is not None:
        facts["evaluation"] = f"{config.data.eval_limit} rows of each dev set; at the end, all rows"
    facts |= {
        "mixing": config.mixing.name,
        "batches": f"{batch.size} x {batch.accumulate}"
        + (", spread over tasks" if batch.spread else "")
        + f"; {total} updates, at most {config.train.epochs} epoch(s)",
        "optimizer": f"{optim.name}, lr {optim.lr:g}{heads}, weight decay {optim.weight_decay:g}, "
        f"{optim.schedule} with {optim.warmup:.0%} warmup, clip {optim.clip_norm:g}"
        + ("" if optim.combine == "sum" else f", gradients combined by {optim.combine}"),
        "SMART": f"{config.smart}, lambda_s {config.smoothness.weight:g}, "
        f"mu {config.proximal.weight:g}",
        **objective.setup(),
    }
    if taught := [name for name, store in data.train.items() if store.manifest.soft_labels]:
        distill = config.distill
        falling = " falling to 0" if distill.annealing == "linear" else ""
        facts["distillation"] = (
            f"{', '.join(taught)} from {distill.soft_labels}, weight {distill.weight:g}{falling}, "
            f"temperature {distill.temperature:g}"
        )
    if config.terms:
        facts["further terms"] = ", ".join(
            f"{term.tag or term.name} (weight {term.weight:g})" for term in config.terms
        )
    if config.plugins:
        facts["plugins"] = ", ".join(config.plugins)
    facts["seed"] = str(config.seed)
    console.summary(facts, title=f"Run {config.name}")
    idle = settings_without_effect(config, data.train)
    for line in (*idle, *objective.notes()):
        print(f"note: {line}")
    for notice in (slow_teacher(config, total), idle_teacher(config, total)):
        if notice:
            print(f"note: {notice}")


def slow_teacher(config: RunConfig, total: int) -> str | None:
    """Warning if the proximal teacher averages over more updates than the run has, else None.

    Such a teacher stays near the untrained heads, and D_Breg pulls every prediction towards theirs.
    The predictions of a regression are about halved at mu = 1, which correlation scores do not reveal.
    """
    proximal = config.proximal
    assert proximal.weight is not None
    assert proximal.beta_late is not None
    assert proximal.steps is not None
    length = round(proximal.steps / (1 - proximal.beta_late))
    averages = proximal.teacher == "mbpp" and proximal.horizon is None
    if not proximal.weight or not averages or length <= total:
        return None
    fraction = max(0.01, 5 * proximal.steps / total)  # of five updates of the teacher at least
    fix = f"Set proximal.horizon to {min(fraction, 1.0):.2g}, the averaging length as a fraction of the run"
    return (
        f"proximal.beta_late {proximal.beta_late:g} averages the teacher over {length} updates, but "
        f"the run has only {total}. The teacher stays near the untrained heads and keeps predictions "
        f"there. {fix}"
    )


def idle_teacher(config: RunConfig, total: int) -> str | None:
    """Warning if the proximal teacher always equals the student, so that D_Breg is 0, else None."""
    proximal = config.proximal
    copies = momentum(proximal, total, total) == 0 and proximal.steps == 1
    if not proximal.weight or not copies or proximal.dropout == "independent":
        return None
    return (
        "the proximal teacher is a copy of the parameters after every update, so D_Breg is 0. Set "
        "proximal.teacher to mbpp with a longer proximal.horizon, or proximal.steps above 1"
    )


def weak_terms(config: RunConfig, first: Mapping[str, Mapping[str, float]]) -> str | None:
    """One line about terms whose gradient is too small to act, else None.

    Args:
        config: resolved.
        first: ``rho`` and ``rho_proximal``: task -> value of its first measurement.
    """
    smoothness, proximal = config.smoothness, config.proximal
    assert smoothness.weight is not None
    assert smoothness.epsilon is not None
    assert proximal.weight is not None
    parts = []
    reached = WEAK_RHO if smoothness.balance is None else smoothness.balance / LIMIT
    if weak := {task: rho for task, rho in first["rho"].items() if rho < reached}:
        if (factor := _missing(weak)) is None:
            fix = "it has no gradient at all"
        elif smoothness.dropout == "independent" or smoothness.ascent == "normalized":
            fix = f"smoothness.weight {smoothness.weight * factor:.2g} would reach about {GOOD_RHO}"
        else:
            # The gradient grows as the square of a small radius, or as the radius with detach clean.
            radius = smoothness.epsilon * factor ** (1 if smoothness.detach == "clean" else 0.5)
            fix = (
                f"smoothness.epsilon {radius:.2g}, with step_size and sigma in proportion, would reach "
                f"about {GOOD_RHO}; smoothness.balance changes lambda_s by a factor of {LIMIT:g} at most"
            )
        parts.append(f"R_s ({_listed(weak)}): {fix}")
    if weak := {task: rho for task, rho in first["rho_proximal"].items() if rho < WEAK_RHO}:
        factor = _missing(weak)
        fix = "it has no gradient at all"
        if factor is not None:
            fix = f"proximal.weight {proximal.weight * factor:.2g} would reach about {GOOD_RHO}"
        parts.append(f"D_Breg ({_listed(weak)}): {fix}")
    if not parts:
        return None
    return (
        "note: a term cannot act, because the norm of its gradient relative to the loss's (rho) is too "
        f"small. {'. '.join(parts)}"
    )


def _listed(rho: Mapping[str, float]) -> str:
    return ", ".join(f"{task} rho {value:.2g}" for task, value in rho.items())


def _missing(rho: Mapping[str, float]) -> float | None:
    """Factor from the geometric mean of rho to GOOD_RHO; None if a rho is 0."""
    if min(rho.values()) <= 0:
        return None
    return GOOD_RHO / math.exp(sum(map(math.log, rho.values())) / len(rho))


def show_new_length(before: int | None, timeline: Timeline, step: int) -> None:
    """Print what becomes of the schedule of a resumed run whose number of updates has changed.

    Args:
        before: number of updates of the run when its checkpoint was saved; None: not known.
        timeline: of the resumed run.
        step: update of the checkpoint.
    """
    if before is None or before == timeline.total:
        return
    old, new = (
        learning_rate_factor(min(step, total - 1), total, timeline.config.optim)
        for total in (before, timeline.total)
    )
    print(
        f"{timeline.total} updates instead of {before}: at update {step} the learning rate is {new:.3g} of "
        f"its peak, where it was {old:.3g}; the schedule, and weights that follow the progress of the run, "
        f"continue on the new length",
        flush=True,
    )
