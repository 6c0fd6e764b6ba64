"""The section of a page about robustness.json, which ``mt-dnn robustness`` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_utils import strict_json
from data_utils.errors import UserError
from mt_dnn.reports.charts import LineChart, line_chart
from mt_dnn.reports.run_record import RunRecord
from mt_dnn.reports.score_file import number, whole

FILE = "robustness.json"
"""Name of the results in a run directory."""
ATTACK, NOISE = "attack", "noise"
"""The two kinds of perturbation of word embeddings at each radius."""


@dataclass(frozen=True)
class TextRow:
    """Scores on one version of the texts."""

    name: str
    rate: float | None
    changed: float | None
    """Share of the rows whose texts are changed, in percent."""
    score: float
    change: float | None
    """Difference to the clean score."""
    ece: float
    loss: float


@dataclass(frozen=True)
class DataView:
    """One data set: a table of texts, and charts over the radius of the attack."""

    name: str
    rows: int
    metric: str
    texts: list[TextRow]
    charts: list[LineChart]
    attacked: int = 0
    steps: int = 0
    on: str = ""
    size: float = 0.0


@dataclass(frozen=True)
class ChallengeView:
    """One challenge set: (part, gold label, rows, accuracy) of each group, the whole first."""

    name: str
    task: str
    rows: int
    parts: list[tuple[str, str, int, float]]


@dataclass(frozen=True)
class RobustnessView:
    """What was measured."""

    datasets: list[DataView]
    challenges: list[ChallengeView]


def robustness_view(run: RunRecord) -> RobustnessView | None:
    """Read robustness.json; None if there is none.

    Raises:
        UserError: the file is damaged.
    """
    path = run.folder / FILE
    if not path.exists():
        return None
    try:
        return _view(strict_json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> UserError:
    what = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
    return UserError(
        f"{path} is damaged: {what:.200}. Delete it, and measure again with mt-dnn robustness"
    )


def _view(values: Mapping[str, Any]) -> RobustnessView:
    return RobustnessView(
        [_data(str(name), own) for name, own in values["datasets"].items()],
        [_challenge(str(name), own) for name, own in values["challenges"].items()],
    )


def _data(name: str, values: Mapping[str, Any]) -> DataView:
    metric = str(values["metric"])
    clean = _text("clean", values["clean"], metric)
    texts = [
        _text(str(own), part, metric, clean.score) for own, part in values["perturbations"].items()
    ]
    view = DataView(name, whole(values["rows"]), metric, [clean, *texts], charts=[])
    if "attack" not in values:
        return view
    attack = values["attack"]
    return replace(
        view,
        charts=_charts(metric, attack["points"]),
        attacked=whole(attack["rows"]),
        steps=whole(attack["steps"]),
        on="loss, with labels" if attack["on_loss"] else "divergence from the clean prediction",
        size=number(attack["embedding_rms"]),
    )


def _text(name: str, part: Mapping[str, Any], metric: str, clean: float | None = None) -> TextRow:
    score = number(part["metrics"].get(metric))
    options = part.get("options")
    return TextRow(
        name=name,
        rate=None if options is None else number(options["rate"]),
        changed=number(part["changed"]) if "changed" in part else None,
        score=score,
        change=None if clean is None else score - clean,
        ece=number(part["ece"]),
        loss=number(part["loss"]),
    )


def _charts(metric: str, points: list[Mapping[str, Any]]) -> list[LineChart]:
    """Charts of the score, the calibration error and the divergence over the radius."""
    found = []
    for title, log in ((metric, False), ("calibration error", False), ("divergence", True)):
        lines = {
            what: [
                (100 * number(point["relative"]), _value(point[what], metric, title))
                for point in points
            ]
            for what in (ATTACK, NOISE)
        }
        found.append(line_chart(title, lines, log=log, over="radius"))
    return [chart for chart in found if chart]


def _value(part: Mapping[str, Any], metric: str, title: str) -> float:
    if title == metric:
        return number(part["metrics"].get(metric))
    return number(part["ece" if title == "calibration error" else "divergence"])


def _challenge(name: str, values: Mapping[str, Any]) -> ChallengeView:
    rows = whole(values["rows"])
    parts = [("all", "", rows, number(values["metrics"]["ACC"]))]
    for kind, groups in values["groups"].items():
        parts += [
            (f"{kind} {group}", str(label), whole(own["rows"]), number(own["ACC"]))
            for group, labels in groups.items()
            for label, own in labels.items()
        ]
    return ChallengeView(name, str(values["task"]), rows, parts)
