"""The base class of trackers. docs/tags.md lists the tags that a run logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Tracker:
    """Receives what a run logs. Every method does nothing here; a subclass overrides what it needs.

    The Trainer builds trackers in the main process only, and calls :meth:`truncate_after` (a resumed
    run only), :meth:`start`, the methods that log, and :meth:`close`, in this order. Steps are
    optimizer updates, counted from 1, and never decrease. docs/tags.md lists the tags.

    Args:
        run_dir: folder of the run. Files of the tracker belong in it.
        options: settings of the tracker (``tracker_options.<name>``). A subclass declares them as
            keyword arguments.

    Example::

        class PrintLoss(Tracker):
            \"\"\"Prints the loss of one task.\"\"\"

            def __init__(self, run_dir, *, task):
                super().__init__(run_dir)
                self.tag = f"train/{task}/loss"

            def scalars(self, step, values):
                if self.tag in values:
                    print(step, values[self.tag])
    """

    takes_images: bool = False
    """Whether :meth:`images` is overridden. Figures, precision-recall curves and lists of mistakes are made
    only if some tracker takes images."""

    def __init__(self, run_dir: str | Path) -> None:
        self.run_dir = Path(run_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self, config: Mapping[str, Any]) -> None:
        """Begin the run.

        Args:
            config: all resolved settings by dotted name, as :func:`mt_dnn.config.dotted.flatten`
                returns them, without ``tracker_options``.

        Raises:
            UserError: the backend is not usable, such as a missing login.
        """

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Log values that are determined by the seed: losses, learning rates, scores.

        Args:
            step: finished optimizer updates.
            values: anything that a metric returns, by tag: numbers, but also lists, mappings or None.
        """

    def best(self, step: int, values: Mapping[str, Any], *, found_at: int) -> None:
        """Log the scores of the best model so far, after every evaluation; by default as scalars.

        Args:
            step: finished optimizer updates.
            values: see :meth:`scalars`; their tags begin with ``best/``.
            found_at: update of the best model.
        """
        self.scalars(step, values)

    def timings(self, step: int, values: Mapping[str, Any]) -> None:
        """Log values that differ between identical runs: seconds, examples per second, memory."""

    def images(self, step: int, figures: Mapping[str, Figure]) -> None:
        """Log matplotlib figures, by tag."""

    def text(self, tag: str, markdown: str) -> None:
        """Log a Markdown text of the whole run."""

    def texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Log Markdown texts of an evaluation, by tag."""

    def precision_recall(
        self, step: int, curves: Mapping[str, tuple[Sequence[bool], Sequence[float]]]
    ) -> None:
        """Log precision-recall curves.

        Args:
            curves: tag -> for each example whether it is of the class, and its probability in [0, 1].
        """

    def charts(self, charts: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """Log an arrangement of curves in charts.

        Args:
            charts: category -> title of a chart -> regular expressions of the tags that it shows, matched
                from the start of a tag.
        """

    def hparams(self, config: Mapping[str, Any]) -> None:
        """Log the hyperparameters: the settings that determine the result, by dotted name.

        Settings that say where and how the run is computed are left out (its name, folders, device).
        """

    def truncate_after(self, update: int) -> None:
        """Remove what was logged after ``update``, because a resumed run continues from there."""

    def close(self) -> None:
        """Write what is still buffered and release the backend."""


def check_tracker(name: str, tracker: Any) -> type[Tracker]:
    """Check that a registered object is a subclass of :class:`Tracker`.

    Raises:
        TypeError: it is not.
    """
    if not (isinstance(tracker, type) and issubclass(tracker, Tracker)):
        raise TypeError(f"tracker {name!r}: {tracker!r} is no subclass of Tracker")
    return tracker
