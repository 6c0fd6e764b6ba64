"""The trackers of a run, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt_dnn.config.options import parse_options
from mt_dnn.registries import TRACKERS
from mt_dnn.tracking.tracker import Tracker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALWAYS = "jsonl"
"""The tracker of every run."""


class Trackers(Tracker):
    """Passes what a run logs to several trackers, in order. metrics.jsonl is always written, first.

    Args:
        run_dir: folder of the run.
        trackers: registered names, or trackers. A name that is given twice counts once.
        options: keyword arguments of the trackers that are given by name, {name: {option: value}}. A tracker
            that is not used may have options, so that a flag can switch it off.
        enabled: True in the main process only. If False, there are no trackers, and every method does
            nothing.

    Raises:
        UserError: a name or an option is unknown, or a tracker's package is not installed.

    Example::

        with Trackers("runs/rte", ["tensorboard", "wandb"], {"wandb": {"project": "glue"}}) as trackers:
            trackers.start({"optim.lr": 5e-5})
            trackers.scalars(1, {"train/rte/loss": 0.7})
    """

    def __init__(
        self,
        run_dir: str | Path,
        trackers: Iterable[str | Tracker] = ("tensorboard",),
        options: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        enabled: bool = True,
    ) -> None:
        super().__init__(run_dir)
        self.enabled = enabled
        options = options or {}
        for name in options:
            TRACKERS.canonical(name, "tracker_options")
        self._trackers: list[Tracker] = []
        if enabled:
            for tracker in dict.fromkeys([ALWAYS, *trackers]):
                if isinstance(tracker, str):
                    tracker = build_tracker(tracker, run_dir, options.get(tracker, {}))
                self._trackers.append(tracker)
        self.takes_images = any(tracker.takes_images for tracker in self._trackers)

    def start(self, config: Mapping[str, Any]) -> None:
        for tracker in self._trackers:
            tracker.start(config)

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        for tracker in self._trackers:
            tracker.scalars(step, values)

    def best(self, step: int, values: Mapping[str, Any], *, found_at: int) -> None:
        for tracker in self._trackers:
            tracker.best(step, values, found_at=found_at)

    def timings(self, step: int, values: Mapping[str, Any]) -> None:
        for tracker in self._trackers:
            tracker.timings(step, values)

    def images(self, step: int, figures: Mapping[str, Figure]) -> None:
        for tracker in self._trackers:
            if tracker.takes_images:
                tracker.images(step, figures)

    def text(self, tag: str, markdown: str) -> None:
        for tracker in self._trackers:
            tracker.text(tag, markdown)

    def texts(self, step: int, texts: Mapping[str, str]) -> None:
        for tracker in self._trackers:
            tracker.texts(step, texts)

    def precision_recall(
        self, step: int, curves: Mapping[str, tuple[Sequence[bool], Sequence[float]]]
    ) -> None:
        for tracker in self._trackers:
            tracker.precision_recall(step, curves)

    def charts(self, charts: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        for tracker in self._trackers:
            tracker.charts(charts)

    def hparams(self, config: Mapping[str, Any]) -> None:
        for tracker in self._trackers:
            tracker.hparams(config)

    def truncate_after(self, update: int) -> None:
        for tracker in self._trackers:
            tracker.truncate_after(update)

    def close(self) -> None:
        """Close every tracker, also if closing one of them fails."""
        with ExitStack() as stack:
            for tracker in reversed(self._trackers):
                stack.callback(tracker.close)


def build_tracker(name: str, run_dir: str | Path, options: Mapping[str, Any]) -> Tracker:
    """Build a tracker by its name.

    Raises:
        UserError: the name or an option is unknown, or the tracker's package is not installed.
    """
    build = TRACKERS.get(name, "trackers")
    checked = parse_options(build, options, name=name, where="tracker_options")
    return build(run_dir, **checked)
