"""The two loss terms of SMART (arXiv 1911.03437): R_s and D_Breg."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from data_utils.errors import UserError
from mt_dnn.config.presets import resolve
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.divergences import half_of
from mt_dnn.encoders.embedding_block import embedding_block
from mt_dnn.model import MTDNN
from mt_dnn.objective.balance import Balance
from mt_dnn.objective.proximal import ProximalTeacher
from mt_dnn.objective.smart_precision import choose_precision
from mt_dnn.objective.smoothness import Measure, perturbation, smoothness_loss
from mt_dnn.objective.step import Step
from mt_dnn.objective.terms import LossTerm, check_divergences
from mt_dnn.randomness import dropout_off
from mt_dnn.registries import DIVERGENCES

_ADVICE = "Set smart to off."
MAY_BE_NONE = ("divergence", "balance", "horizon")
"""Fields that are None in resolved sections too."""


class SmoothnessTerm(LossTerm):
    """R_s, the smoothness term (mt_dnn/objective/smoothness.py).

    Its statistics are logged as ``smart/<task>/gain`` and so on. Its weight is ``config.weight``; with
    ``config.balance`` it is multiplied by a factor for each task (mt_dnn/objective/balance.py), which is
    the term's state, and logged as ``smart/<task>/lambda_s``.

    Args:
        model: the model to train.
        config: None fields take the values of the preset; None: all values are those of the preset.
        preset: name of the preset; without a ``config``, by default ``smart``. A ``config`` with None
            fields needs one; a resolved ``config`` (:func:`mt_dnn.config.bounds.resolve_config`) does not.

    Raises:
        UserError: a field of ``config`` is None and there is no ``preset``, the type of a task defines no
            divergence, a setting is out of range, or the encoder has no embedding block whose output
            could be perturbed (``space: embedding_output``).
    """

    tag = "smoothness"
    group = "smart"
    rho_figure = "rho"

    def __init__(
        self, model: MTDNN, config: SmoothnessConfig | None = None, preset: str | None = None
    ) -> None:
        super().__init__()
        check_divergences(model, "SMART", _ADVICE)
        preset = _preset_of("smoothness", config, preset)
        self.config, _ = resolve(preset, config or SmoothnessConfig(), ProximalConfig())
        assert self.config.weight is not None
        self.weighted(self.config.weight)
        target = self.config.balance
        self.balance = None if target is None else Balance(sorted(model.tasks), target)
        if self.config.space == "embedding_output":
            embedding_block(model.encoder.model)
        self._notes = _divergence_notes(model, self.config.divergence)
        self._passes = f"passes in {self.config.precision}"
        if self.config.precision == "auto":
            found = choose_precision(model.encoder, self.config)
            self.config = dataclasses.replace(self.config, precision=found.choice)
            self._passes = (
                f"passes in {found.choice} under bf16 (the smaller of radius and noise is "
                f"{found.smallest:.2g}; autocast from {found.threshold:.2g}, 1% of the root mean square)"
            )

    def weight(self, step: Step) -> float | Tensor:
        given = super().weight(step)
        if self.balance is None or given == 0:
            return given
        weight = given * self.balance.factor(step.batch.task)
        step.note("lambda_s", weight)
        return weight

    def after_rho(self, step: Step, rho: Tensor) -> None:
        if self.balance is not None:
            self.balance.update(step.batch.task, rho)

    def setup(self) -> dict[str, str]:
        c = self.config
        place = {"words": "word embeddings", "embedding_output": "embedding output"}[str(c.space)]
        return {
            "R_s": f"{c.ascent} on {place}, epsilon {c.epsilon:g} ({c.norm} per {c.norm_scope}), "
            f"step_size {c.step_size:g}, steps {c.steps}, sigma {c.sigma:g}, {self._passes}"
        }

    def notes(self) -> list[str]:
        return self._notes

    def compute(self, step: Step) -> Tensor:
        embeds, origin = self._start(step)
        value, stats = smoothness_loss(
            lambda embeds: self._forward(step, embeds),
            embeds,
            step.logits,
            lambda p, q: self._measure(step, p, q),
            step.batch.attention_mask,
            self.config,
            # Place 1: a seed independent of that of dropout (seed).
            step.generator(1),
            half=self._half(step),
            units=step.task_type.units(step.batch),
            origin=origin,
            wide_logits=step.wide_logits if self._shares_clean_pass() else None,
            measure_gain=step.measure,
        )
        for name, figure in stats._asdict().items():
            if name != "loss" and figure is not None:
                step.note(name, figure)
        return value

    def perturbation(self, step: Step) -> Tensor:
        """Compute the perturbation delta of a step, to look at it: (N, T, E), without gradient.

        With ``space: embedding_output`` its shape is (N, T, H). :meth:`compute` uses the same delta for
        a step made with the same seed. With ``ascent: accumulated``, whose term is a mean over several,
        it takes all ``steps``. Call it without autocast.

        Example:
            >>> from mt_dnn import MTDNN
            >>> from mt_dnn.objective.smart import SmoothnessTerm
            >>> from mt_dnn.objective.step import Step
            >>> model = MTDNN.from_pretrained("bert-base-uncased", "tasks.yml")
            >>> step = Step.from_batch(model, model.batch("sst", ["a good film"]), seed=1)
            >>> delta = SmoothnessTerm(model).perturbation(step)
            >>> delta.shape == step.embeds.shape
            True
            >>> round(delta.abs().max().item(), 7)  # the radius epsilon
            1e-05
        """
        embeds, _ = self._start(step)
        off = self.config.dropout == "off"
        delta, _ = perturbation(
            lambda embeds: self._forward(step, embeds),
            embeds,
            self._forward(step, embeds) if off else step.logits,
            lambda p, q: self._measure(step, p, q),
            step.batch.attention_mask,
            self.config,
            step.generator(1),
            units=step.task_type.units(step.batch),
        )
        return delta

    def _start(self, step: Step) -> tuple[Tensor, Tensor | None]:
        """Return what delta is added to for :meth:`_forward`, and x itself if that is zeros."""
        if self.config.space == "words":
            return step.embeds, None
        # Every pass computes x with its own dropout masks, so delta is added inside of the pass. This
        # x, without dropout, serves the statistics alone.
        with torch.no_grad(), dropout_off(step.model.encoder):
            origin = step.model.embedding_output(step.embeds, step.batch)  # (N, T, H)
        return torch.zeros_like(origin, dtype=step.embeds.dtype), origin

    def _forward(self, step: Step, embeds: Tensor) -> Tensor:
        assert self.config.dropout is not None
        if self.config.space == "words":
            return step.forward(embeds, dropout=self.config.dropout)
        return step.forward(step.embeds, dropout=self.config.dropout, shift=embeds)

    def _shares_clean_pass(self) -> bool:
        """Whether a clean pass in float32 is what :meth:`Step.wide_logits` computes for all terms."""
        return self.config.dropout == "shared" and self.config.detach != "clean"

    def _measure(self, step: Step, p: Tensor, q: Tensor) -> Tensor:
        return step.divergence(p, q, name=self.config.divergence)

    def _half(self, step: Step) -> Measure | None:
        """Return d of ``detach: own_target``, (target logits, logits) -> scalar."""
        kind = step.task_type
        name = half_of(DIVERGENCES.get(kind.divergence_name(self.config.divergence)))
        if name is None or kind.form_of_divergence(name) != name:
            return None
        return lambda target, logits: step.divergence(target, logits, name=name)


def _divergence_notes(model: MTDNN, name: str | None) -> list[str]:
    """Return a line about the tasks whose type has no form of the divergence, if there are any."""
    kinds = model.task_types.items()
    parts = [
        f"{task}: {kind.divergence_name(name)}, because {name} does not fit {kind.output.words}"
        for task, kind in kinds
        if name is not None and kind.form_of_divergence(name) is None
    ]
    return [f"smoothness.divergence {name}: {'; '.join(parts)}"] if parts else []


class ProximalTerm(LossTerm):
    """D_Breg, the proximal term, with its teacher (mt_dnn/objective/proximal.py).

    ``config.dropout`` and ``config.precision`` apply to both predictions. Where they differ from those
    of the clean pass (``off``, or ``float32`` under autocast), the student takes one more pass, which in
    float32 R_s may share (:meth:`mt_dnn.objective.step.Step.wide_logits`). In
    bfloat16 and float16 the rounding of the weights and activations differs between theta and
    theta_tilde, and exceeds a small D_Breg.

    The distance to the teacher is logged as ``smart/distance``. The weight is ``config.weight``. The
    state is theta_tilde, by the names of the model's parameters.

    Args:
        model: the model to train, on its device and after freezing parameters.
        config, preset: as in :class:`SmoothnessTerm`.

    Raises:
        UserError: a field of ``config`` is None and there is no ``preset``, the type of a task defines no
            divergence, or a setting is out of range.
    """

    tag = "proximal"
    group = "smart"
    rho_figure = "rho_proximal"

    def __init__(
        self, model: MTDNN, config: ProximalConfig | None = None, preset: str | None = None
    ) -> None:
        super().__init__()
        check_divergences(model, "SMART", _ADVICE)
        preset = _preset_of("proximal", config, preset)
        _, config = resolve(preset, SmoothnessConfig(), config or ProximalConfig())
        assert config.weight is not None
        self.weighted(config.weight)
        self.config = config
        self.teacher = ProximalTeacher(model, config)
        # Not buffers: a distributed wrapper copies buffers between processes before every forward
        # pass, and casting the module would narrow them.
        self.register_state_dict_post_hook(_add_teacher)
        self.register_load_state_dict_pre_hook(_take_teacher)

    def compute(self, step: Step) -> Tensor:
        off = self.config.dropout == "off"
        seed = step.seed if self.config.dropout == "shared" else None
        student, device = step.logits, step.embeds.device.type
        widen = self.config.precision == "float32" and torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False) if widen else nullcontext():
            if off:
                embeds = step.embeds
                if widen:
                    embeds = embeds.to(torch.promote_types(embeds.dtype, torch.float32))
                student = step.forward(embeds, dropout="off")
            elif widen:
                student = step.wide_logits()
            teacher = self.teacher.logits(step.batch, dropout_seed=seed)
            return step.divergence(student, teacher)

    def before_training(self) -> None:
        self.teacher.restart()

    def after_update(self, update: int, total: int) -> None:
        self.teacher.update(update, total)

    def figures(self) -> dict[str, Tensor]:
        return {"smart/distance": self.teacher.distance()}


def _preset_of(
    section: str, config: SmoothnessConfig | ProximalConfig | None, preset: str | None
) -> str:
    """Return the preset that fills the None fields of a section; see :class:`SmoothnessTerm`."""
    if preset is None and config is not None:
        for field in dataclasses.fields(config):
            if getattr(config, field.name) is None and field.name not in MAY_BE_NONE:
                raise UserError(
                    f"{section}.{field.name} is None, and a section does not know its preset. Give it as in "
                    f"{section.title()}Term(model, config, preset='smart'), or pass "
                    f"resolve_config(config).{section}"
                )
    return preset or "smart"


def _add_teacher(term: nn.Module, state: dict[str, Any], prefix: str, _: Mapping[str, Any]) -> None:
    assert isinstance(term, ProximalTerm)
    state.update({prefix + name: tensor for name, tensor in term.teacher.state_dict().items()})


def _take_teacher(term: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Load the tensors of the teacher and remove them, since the module has no such buffers."""
    assert isinstance(term, ProximalTerm)
    names = [name for name in state if name.startswith(prefix)]
    term.teacher.load_state_dict({name.removeprefix(prefix): state.pop(name) for name in names})
