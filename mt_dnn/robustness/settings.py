"""What is measured, as the options of ``mt-dnn robustness`` give it. Must not import torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_utils.errors import UserError
from mt_dnn.registries import CHALLENGES, PERTURBATIONS

RADII = ("1%", "2%", "5%", "10%", "20%")
"""Default radii of the attack."""


@dataclass(frozen=True)
class Radius:
    """A radius of the attack."""

    value: float
    relative: bool
    """Whether ``value`` is a share of the root mean square of the first run's word embeddings."""

    @classmethod
    def parse(cls, text: str) -> Radius:
        """Parse ``0.01``, in the units of the word embeddings, or ``5%`` of their root mean square.

        Raises:
            UserError: it is no number, or negative.
        """
        relative = text.endswith("%")
        value = _number(text.removesuffix("%"))
        if value is None or value < 0:
            raise UserError(
                f"--radius: {text!r} is not a number of 0 or more, such as 0.01, or 5% of the size of the word "
                f"embeddings"
            )
        return cls(value / 100 if relative else value, relative)


@dataclass(frozen=True)
class Settings:
    """What is measured."""

    datasets: tuple[str, ...] = ()
    """Names of data sets; empty: all dev sets that the runs have in common."""
    perturbations: dict[str, float | None] | None = None
    """Perturbation -> its rate; None: that of its own. None: all that fit the data."""
    radii: tuple[Radius, ...] = field(default_factory=lambda: tuple(map(Radius.parse, RADII)))
    """Radii of the attack; empty: no attack."""
    steps: int = 3
    """Steps of gradient ascent of the attack."""
    on_loss: bool = False
    """Whether the attack knows the labels: it maximizes the supervised loss, not the divergence."""
    attack_rows: int = 500
    """Random rows of each data set that are attacked."""
    challenges: tuple[tuple[str, Path], ...] = ()
    """Kind of challenge set, and its file."""
    task: str | None = None
    """Task of the challenge sets."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: one is out of range.
        """
        for name, least in (("steps", 1), ("attack_rows", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--{name}: {getattr(self, name)}; it must be at least {least}")
        if self.task is not None and not self.challenges:
            raise UserError("--task names the task of --challenge; name a file, or leave it out")


def parse_perturbations(texts: Sequence[str] | None) -> dict[str, float | None] | None:
    """Parse ``NAME`` and ``NAME=RATE``; None stays None.

    Raises:
        UserError: a perturbation is unknown or named twice, or its rate is no number from 0 to 1.
    """
    if texts is None:
        return None
    found: dict[str, float | None] = {}
    for text in texts:
        name, given, rate = text.partition("=")
        name = PERTURBATIONS.canonical(name, "--perturb")
        if name in found:
            raise UserError(f"--perturb: {name} is named twice")
        value = _number(rate) if given else None
        if given and (value is None or not 0 <= value <= 1):
            raise UserError(f"--perturb: {text}: the rate {rate!r} is not a number from 0 to 1")
        found[name] = value
    return found


def parse_challenges(texts: Sequence[str]) -> tuple[tuple[str, Path], ...]:
    """Parse ``KIND=FILE``.

    Raises:
        UserError: the kind is unknown, or there is no such file.
    """
    found = []
    for text in texts:
        kind, given, file = text.partition("=")
        kind = CHALLENGES.canonical(kind, "--challenge")
        if not given or not Path(file).is_file():
            what = f"there is no file {file!r}" if file else "name its file"
            raise UserError(f"--challenge: {text}: {what}, as in {kind}=FILE")
        found.append((kind, Path(file)))
    return tuple(found)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
