"""Results of the gain benchmark on one data set, and their table."""

from __future__ import annotations

from dataclasses import dataclass

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.gain_probe import Draw, mean
from mt_dnn.config.smart import SmoothnessConfig


@dataclass(frozen=True)
class Line:
    """A line of the table: a preset's means over draws."""

    name: str
    config: SmoothnessConfig
    inf_norm: float
    relative: float
    adversarial: float
    random: float
    gain: float | None
    gains: list[float | None]
    """The gain of each draw."""
    over_noise: float | None
    gain_float32: float | None
    gain_float64: float | None
    gain_with_dropout: float | None

    @classmethod
    def of(cls, name: str, config: SmoothnessConfig, draws: list[Draw]) -> Line:
        means = Draw(*(mean(column) for column in zip(*draws, strict=True)))
        return cls(
            name,
            config,
            means.inf_norm,
            means.relative,
            means.adversarial,
            means.random,
            gain=_ratio(means.adversarial, means.random),
            gains=[_ratio(draw.adversarial, draw.random) for draw in draws],
            over_noise=_ratio(means.adversarial, means.start),
            gain_float32=_ratio(means.adversarial_float32, means.random_float32),
            gain_float64=_ratio(means.climbed_float64, means.random),
            gain_with_dropout=_ratio(means.climbed_with_dropout, means.random_with_dropout),
        )


@dataclass(frozen=True)
class GainReport:
    """Results on one dev set of one run."""

    run: str
    dataset: str
    rows: int
    tokens: int
    metric: str
    score: float
    constant: float
    """Score of always predicting the most frequent label, or the mean."""
    shuffled: float
    """Score that 99 of 100 shuffles of the labels do not reach."""
    above_chance: bool
    identity: float
    """Largest difference of logits at delta = 0; must be 0."""
    mean_embedding: float
    """Mean |x| over coordinates of real tokens."""
    lines: list[Line]


def _ratio(numerator: float, denominator: float | None) -> float | None:
    return numerator / denominator if denominator else None


def show(report: GainReport, console: Console) -> None:
    """Print the model's scores and the table in Markdown."""
    verdict = "above chance" if report.above_chance else "NOT ABOVE CHANCE: its gains show nothing"
    console.print(
        f"### {report.dataset}, run {report.run}\n\n"
        f"- zero perturbation moves the logits by {report.identity:g} (must be 0)\n"
        f"- {report.metric} {report.score:.1f} on the dev set, constant guess "
        f"{report.constant:.1f}, 99 of 100 label shuffles below {report.shuffled:.1f}: {verdict}\n"
        f"- the first {report.rows} rows, {report.tokens} tokens, mean |word embedding| "
        f"{report.mean_embedding:.3g}\n",
        soft_wrap=True,
    )
    table = Table(box=MARKDOWN)
    table.add_column("preset", no_wrap=True)
    for name in (
        *("|delta|_inf", "|delta|_2 / |x|_2", "l_s at delta", "l_s at random signs", "gain"),
        *("from .. to", "over its own noise", "gain read in float32", "gain climbed in float64"),
        "gain climbed with dropout",
    ):
        # an unescaped | would end the cell
        table.add_column(name.replace("|", "\\|"), justify="right", no_wrap=True)
    for line in report.lines:
        gains = [gain for gain in line.gains if gain is not None]
        table.add_row(
            line.name,
            f"{line.inf_norm:.2g}",
            f"{line.relative:.2g}",
            f"{line.adversarial:.2e}",
            f"{line.random:.2e}",
            _short(line.gain),
            f"{_short(min(gains))} .. {_short(max(gains))}" if gains else "-",
            _short(line.over_noise),
            _short(line.gain_float32),
            _short(line.gain_float64),
            _short(line.gain_with_dropout),
        )
    console.print(table)


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
