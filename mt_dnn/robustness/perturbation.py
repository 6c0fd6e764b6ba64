"""Text perturbations that keep the label, and how they are applied to the texts of an example.

A perturbation is a function of a text, a generator of random numbers and a rate. The generator depends on
(seed, name, uid, place) alone, so that a text is always changed in the same way, whatever the run, the
order of the rows and the other data sets are.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from data_utils.errors import UserError
from data_utils.formats import Example
from data_utils.inputs import takes_words
from data_utils.registries import FORMATS
from data_utils.task_def import TaskDef
from mt_dnn.config.options import declared_options, parse_options

Change = TypeVar("Change", bound=Callable[..., str])
RATE = "rate"
"""The option that every perturbation has."""


def perturbation(*, keeps_words: bool) -> Callable[[Change], Change]:
    """Declare what a perturbation does to the words of a text.

    Args:
        keeps_words: True: words change inside only, and none is added, removed, split or joined. The perturbation
            then also fits rows that label words.
    """

    def decorate(change: Change) -> Change:
        change.keeps_words = keeps_words  # type: ignore[attr-defined]
        return change

    return decorate


@dataclass(frozen=True)
class Perturbation:
    """A registered perturbation with its options."""

    name: str
    change: Callable[..., str]
    """``change(text, rng, *, rate)`` returns the changed text."""
    options: dict[str, Any]
    """All options with their values, among them ``rate``."""

    @property
    def keeps_words(self) -> bool:
        """Whether it neither adds, removes, splits nor joins words."""
        return bool(getattr(self.change, "keeps_words", False))

    @property
    def rate(self) -> float:
        """Share of the places that are changed, from 0 to 1."""
        return float(self.options[RATE])

    def with_options(self, where: str, **given: Any) -> Perturbation:
        """Return a copy with some options set.

        Raises:
            UserError: an option is unknown, has another type, or the rate is outside 0..1; the message begins
                with ``where``.
        """
        options = self.options | parse_options(self.change, given, name=self.name, where=where)
        if not 0 <= options[RATE] <= 1:
            raise UserError(f"{where}: the rate {options[RATE]:g} is outside 0..1")
        return dataclasses.replace(self, options=options)

    def text(self, text: str, *, seed: int, uid: str, place: int) -> str:
        """Return a changed text.

        Args:
            seed: the seed of the command.
            uid: the uid of the row.
            place: position of the text in the row, from 0.
        """
        # A generator that is seeded with a text does not depend on the process's hash seed.
        rng = random.Random(f"{seed}/{self.name}/{uid}/{place}")
        return self.change(text, rng, **self.options)


def check_perturbation(name: str, entry: Any) -> Perturbation:
    """Return a registered function as a perturbation.

    Raises:
        TypeError: it is no function, or has no option ``rate`` with a default.
    """
    if not callable(entry):
        raise TypeError(f"perturbation {name!r}: {entry!r} is not a function")
    declared = declared_options(entry)
    if RATE not in declared:
        raise TypeError(f"perturbation {name!r} has no keyword-only parameter {RATE!r}")
    for option, parameter in declared.items():
        if parameter.default is parameter.empty:
            raise TypeError(f"perturbation {name!r}: option {option!r} has no default")
    return Perturbation(name, entry, {key: p.default for key, p in declared.items()})


def refusal(perturbation: Perturbation, task: TaskDef) -> str | None:
    """Say why a perturbation does not fit the rows of a task; None if it fits."""
    if perturbed_columns(task) == ():
        return f"the labels of data_format {task.data_format} are its texts"
    if takes_words(task) and not perturbation.keeps_words:
        return (
            f"data_format {task.data_format} labels words, and {perturbation.name} may add, remove, split or "
            f"join words"
        )
    return None


def perturbed_columns(task: TaskDef) -> tuple[str, ...]:
    """Return the columns of the task's format whose texts may change without the label."""
    data_format = FORMATS.get(task.data_format)
    columns = data_format.perturbed_columns
    return data_format.text_columns if columns is None else columns


def perturb(example: Example, perturbation: Perturbation, task: TaskDef, *, seed: int) -> Example:
    """Return the example with its texts changed; uid, label and all else stay.

    Only the columns change that the data format allows. A text that would become blank stays as it is.

    Args:
        example: a parsed row of the task.
        perturbation: one that fits the task (:func:`refusal`).
        task: the task.
        seed: the seed of the command.
    """
    columns = FORMATS.get(task.data_format).text_columns
    allowed = perturbed_columns(task)
    texts = list(example.texts)
    for place, text in enumerate(texts):
        if columns[min(place, len(columns) - 1)] in allowed:
            changed = perturbation.text(text, seed=seed, uid=example.uid, place=place)
            texts[place] = changed if changed.strip() else text
    return dataclasses.replace(example, texts=tuple(texts))
