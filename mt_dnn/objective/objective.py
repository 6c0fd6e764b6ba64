"""The training loss: a weighted sum of terms.

    F = w_task sum_k w_k term_k

As a configuration sets it, F = w_task ( (1 - w_t) L + w_t D_kd + lambda_s R_s + mu D_Breg ): L is the
supervised loss, D_kd the distillation term (mt_dnn/objective/distillation.py), R_s and D_Breg are the
smoothness and the proximal term of SMART (arXiv 1911.03437, eq. 1 and 3).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.registry import choices_hint
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.run import RunConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective import balance
from mt_dnn.objective.smart import ProximalTerm, SmoothnessTerm
from mt_dnn.objective.step import Step
from mt_dnn.objective.supervised import DistilledTerm, SupervisedTerm
from mt_dnn.objective.terms import LossTerm
from mt_dnn.randomness import seeded_rng, step_seed
from mt_dnn.registries import LOSS_TERMS


class LossTerms(NamedTuple):
    """Loss of a batch: scalars on the device."""

    total: Tensor
    """F, with graph; minimize this."""
    values: dict[str, Tensor]
    """Tag -> value of the term without its weight, with graph. Only terms that were computed."""
    figures: dict[str, Tensor]
    """Full tag -> scalar to log, without graph."""

    def named(self, task: str) -> dict[str, Tensor]:
        """Scalars to log by full tag: ``train/<task>/<tag>`` of each term, and the figures.

        A figure replaces the value of a term with the same full tag.

        Args:
            task: name of the task of the batch.
        """
        return {f"train/{task}/{tag}": value for tag, value in self.values.items()} | self.figures


def build_terms(model: MTDNN, config: RunConfig) -> list[LossTerm]:
    """Build the loss terms of a configuration: supervised, smoothness, proximal, those of ``terms``.

    A weight of 0 leaves a term out.

    Args:
        model: on its device, after freezing parameters.
        config: the configuration; its presets are resolved here.

    Raises:
        UserError: a setting is out of range, or the smoothness or the proximal term is on, but the type
            of a task defines no divergence.
    """
    config = resolve_config(config)
    terms: list[LossTerm] = [
        DistilledTerm(config.distill) if config.distill.is_on else SupervisedTerm()
    ]
    if config.smoothness.weight:
        terms.append(SmoothnessTerm(model, config.smoothness))
    if config.proximal.weight:
        terms.append(ProximalTerm(model, config.proximal))
    for entry in config.terms:
        if entry.is_on:
            term = LOSS_TERMS.get(entry.name, "terms")(model, **entry.options)
            if entry.tag is not None:
                term.tag = entry.tag
            terms.append(term.weighted(entry.weight, entry.weights))
    return terms


class Objective(nn.Module):
    """Computes the loss of a batch as a weighted sum of terms, in their order.

    The objective is a module so that a distributed wrapper sees one forward call per step, although
    the terms may need several passes through the model. All terms share one clean forward pass.

    Args:
        model: the model on its device, after freezing parameters.
        terms: the terms; they are moved to the device of the model.

    Raises:
        UserError: there is no term, two terms have the same tag, a tag is malformed, or a term has a
            weight for a task that the model lacks, or a term contains the model as an attribute.

    Example:
        >>> from mt_dnn import MTDNN, Objective, RunConfig
        >>> model = MTDNN.from_pretrained("bert-base-uncased", "tasks.yml").train()
        >>> objective = Objective.from_config(model, RunConfig(smart="smart"))
        >>> row = {"premise": "It rains.", "hypothesis": "It is wet.", "label": "entailment"}
        >>> loss = objective(model.batch("rte", [row]), seed=1)
        >>> sorted(loss.values)
        ['loss', 'proximal', 'smoothness']
        >>> loss.total.backward()
        >>> objective.after_update(1, total=100)  # after the first of 100 optimizer updates
    """

    def __init__(self, model: MTDNN, terms: Iterable[LossTerm]) -> None:
        super().__init__()
        self.model = model
        terms = list(terms)
        _check(model, terms)
        device = next(model.parameters()).device
        self.terms = nn.ModuleList(terms).to(device)

    @classmethod
    def from_config(cls, model: MTDNN, config: RunConfig) -> Self:
        """Build the objective of a configuration; see :func:`build_terms`."""
        return cls(model, build_terms(model, config))

    def forward(
        self,
        batch: Batch,
        *,
        seed: int,
        progress: float = 0.0,
        measure: bool = False,
        measure_rho: bool = False,
    ) -> LossTerms:
        """Compute the loss of a batch.

        Args:
            batch: on the device of the model. Without soft labels it has no distillation term.
            seed: determines all random numbers of the step: masked tokens, dropout and noise.
            progress: fraction of the run's updates that precede this one; weights may depend on it.
            measure: also compute figures that cost extra work, such as SMART's gain.
            measure_rho: also measure the sizes of the terms' gradients, and let weights follow them
                from the next call on; see :func:`mt_dnn.objective.balance.measure_rho`. Costs
                backward passes.

        Raises:
            RuntimeError: no term has a value for this batch.
        """
        step = Step.from_batch(self.model, batch, seed=seed, progress=progress, measure=measure)
        total: Tensor | None = None
        values: dict[str, Tensor] = {}
        # Place 3: terms that draw from the global generators do not depend on their state.
        with seeded_rng(step_seed(seed, 3), step.embeds.device):
            for term in self._terms():
                own = step.of(term)
                weight = term.weight(own)
                if not isinstance(weight, Tensor) and weight == 0:
                    continue
                value = term.compute(own)
                if value is None:
                    continue
                if not isinstance(value, Tensor) or value.ndim:
                    raise UserError(
                        f"compute of the loss term {term.tag!r} ({type(term).__module__}) returned "
                        f"{_shown(value)}; return a scalar tensor, or None"
                    )
                values[term.tag] = value
                total = weight * value if total is None else total + weight * value
        if measure_rho:
            balance.measure_rho(step, self._terms(), values)
        if total is None:
            raise RuntimeError(f"no loss term has a value for this batch of task {batch.task}")
        return LossTerms(step.task_type.task.weight * total, values, step.figures)

    def before_training(self) -> None:
        """Let the terms copy the weights from which training starts; the Trainer calls it once."""
        for term in self._terms():
            term.before_training()

    def after_update(self, update: int, total: int) -> None:
        """Update the terms; call after each optimizer update.

        Args:
            update: number of the update, counted from 1. Updates that fp16 skips do not count.
            total: number of updates of the run.
        """
        for term in self._terms():
            term.after_update(update, total)

    def figures(self) -> dict[str, Tensor]:
        """Scalars by full tag that do not belong to a batch, such as ``smart/distance``."""
        return {tag: value for term in self._terms() for tag, value in term.figures().items()}

    def setup(self) -> dict[str, str]:
        """What a run prints of its terms in the summary at its start: title -> text."""
        return {title: text for term in self._terms() for title, text in term.setup().items()}

    def notes(self) -> list[str]:
        """What a run prints as notes at its start."""
        return [line for term in self._terms() for line in term.notes()]

    def terms_state(self) -> dict[str, Tensor]:
        """State of all terms for a checkpoint, by ``<tag>.<name>``; not a copy."""
        return {
            f"{term.tag}.{name}": value
            for term in self._terms()
            for name, value in term.state_dict().items()
        }

    def load_terms_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore the terms from :meth:`terms_state`.

        A term without state in ``state`` keeps its own, and state of other terms is ignored, so that a
        resumed run can have other terms.

        Raises:
            UserError: the state does not fit a term.
        """
        for term in self._terms():
            prefix = f"{term.tag}."
            own = {
                name.removeprefix(prefix): value
                for name, value in state.items()
                if name.startswith(prefix)
            }
            try:
                if own:
                    term.load_state_dict(own)
            except RuntimeError as error:
                raise UserError(
                    f"the saved state does not fit the loss term {term.tag}; resume with the term as "
                    f"it was. {error}"
                ) from None

    def _terms(self) -> list[LossTerm]:
        return [term for term in self.terms if isinstance(term, LossTerm)]


def _shown(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def _check(model: MTDNN, terms: list[LossTerm]) -> None:
    """Raise if the terms do not form an objective; see :class:`Objective`."""
    if not terms:
        raise UserError("an objective needs at least one loss term, such as SupervisedTerm()")
    for tag, number in Counter(term.tag for term in terms).items():
        if not re.fullmatch(r"[\w-]+", tag):
            raise UserError(f"loss term {tag!r}: use letters, digits, _ and - in its tag")
        if number > 1:
            raise UserError(
                f"{number} loss terms have the tag {tag!r}; give each its own, by the key tag of its entry"
            )
    shared = {id(parameter) for parameter in model.parameters()}
    for term in terms:
        if any(id(parameter) in shared for parameter in term.parameters()):
            raise UserError(
                f"loss term {term.tag!r} contains the model as an attribute, which would save the "
                f"model twice; use step.model in compute"
            )
        for task in term.task_weights:
            if task not in model.tasks:
                raise UserError(
                    f"loss term {term.tag}: weight of an unknown task {task!r}."
                    f"{choices_hint(task, model.tasks)}"
                )
