"""The base class of trackers, and the tags that a run logs.

TensorBoard groups scalars and images by the part of a tag before the first slash:

====================================  ============================================================
``train/<task>/loss``                 mean supervised loss over the log interval
``train/<task>/smoothness``           and ``proximal``, ``distill``: other terms, without weights
``train/lr``, ``train/grad_norm``     learning rate ``optim.lr`` times the schedule's factor; global
                                      gradient norm before clipping
``train/padding``                     fraction of the tokens that are padding, in [0, 1]
``train/share/<task>``                fraction of the batches that belong to the task, in [0, 1]
``smart/<task>/<name>``               diagnostics of SMART's terms
``smart/distance``                    distance between theta and theta_tilde (proximal term)
``eval/<dataset>/<metric>``           dev scores
``eval/average``                      mean of every task's metric_for_best
``best/average``                      and ``best/<dataset>/<metric>``: scores of the best model so
                                      far, logged at every evaluation; the first columns of HPARAMS
``speed/examples_per_second``         and ``speed/tokens_per_second``
``confusion/<dataset>``               image: classification
``scatter/<dataset>``                 image: regression
====================================  ============================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Tracker:
    """Receives what a run logs. Every method does nothing here; a subclass overrides what it needs.

    The Trainer builds trackers in the main process only, and calls :meth:`truncate_after` (a resumed
    run only), :meth:`start`, the methods that log, and :meth:`close`, in this order. Steps are
    optimizer updates, counted from 1, and never decrease. The module's docstring lists the tags.

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
    """Whether :meth:`images` is overridden. Figures are drawn only if some tracker takes them."""

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

    def timings(self, step: int, values: Mapping[str, Any]) -> None:
        """Log values that differ between identical runs: seconds, examples per second, memory."""

    def images(self, step: int, figures: Mapping[str, Figure]) -> None:
        """Log matplotlib figures, by tag."""

    def text(self, tag: str, markdown: str) -> None:
        """Log a Markdown text of the whole run."""

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
