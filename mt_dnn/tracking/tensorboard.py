"""Write a run's curves, pictures, texts and hyperparameters as TensorBoard events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_utils.files import move, remove
from mt_dnn.config.run_format import EVENTS, EVENTS_SUFFIX
from mt_dnn.tracking.tracker import Tracker
from mt_dnn.tracking.values import numbers, pixels, plain_setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard(Tracker):
    """TensorBoard events in the run directory: scalars, images, text, PR curves, charts, HPARAMS.

    TensorBoard names a run after the folder of its event files, so they are in the run directory itself.
    Of the values of :meth:`scalars` and :meth:`timings`, only the numbers are written.
    """

    takes_images = True

    def __init__(self, run_dir: str | Path) -> None:
        super().__init__(run_dir)
        self._purge_step: int | None = None
        self._open_writer: SummaryWriter | None = None
        self._best: tuple[int, dict[str, Any]] | None = None

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        for tag, value in numbers(values).items():
            self._writer().add_scalar(tag, value, step)

    def best(self, step: int, values: Mapping[str, Any], *, found_at: int) -> None:
        """Remember the values; :meth:`close` writes them once, as the first columns of the HPARAMS tab.

        That tab shows scalars only, and every scalar is in the SCALARS tab too: a single point there. The
        tags begin with ``eval-best`` because HPARAMS sorts it before ``eval``, and SCALARS behind.
        """
        self._best = (
            found_at,
            {f"eval-{tag}": value for tag, value in values.items()},
        )

    def timings(self, step: int, values: Mapping[str, Any]) -> None:
        self.scalars(step, values)

    def images(self, step: int, figures: Mapping[str, Figure]) -> None:
        for tag, figure in figures.items():
            # SummaryWriter.add_figure imports pyplot.
            self._writer().add_image(tag, pixels(figure), step, dataformats="HWC")

    def precision_recall(
        self, step: int, curves: Mapping[str, tuple[Sequence[bool], Sequence[float]]]
    ) -> None:
        import numpy as np

        for tag, (gold, scores) in curves.items():
            self._writer().add_pr_curve(tag, np.asarray(gold), np.asarray(scores), step)

    def charts(self, charts: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """Arrange the CUSTOM SCALARS tab."""
        layout = {
            category: {title: ["Multiline", list(tags)] for title, tags in own.items()}
            for category, own in charts.items()
        }
        self._writer().add_custom_scalars(layout)

    def text(self, tag: str, markdown: str) -> None:
        """Show Markdown in the TEXT tab, at step 0."""
        self.texts(0, {tag: markdown})

    def texts(self, step: int, texts: Mapping[str, str]) -> None:
        from tensorboard.plugins.text.summary_v2 import text_pb

        # SummaryWriter.add_text would change the tag to "<tag>/text_summary".
        for tag, markdown in texts.items():
            self._write_summary(text_pb(tag, markdown), step)

    def hparams(self, config: Mapping[str, Any]) -> None:
        """Add the run to the HPARAMS tab. Settings that are None are left out.

        The tab shows the last value of every scalar, so it lists a run while it is still training.

        SummaryWriter.add_hparams is not used for two reasons: it writes a second run with a timestamp,
        and it declares columns. TensorBoard uses the columns that one arbitrary run declares for all
        runs. Without a declaration it shows the columns of all runs, and puts hyperparameters that
        differ between runs first.
        """
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        values = {name: plain_setting(value) for name, value in config.items() if value is not None}
        # Without trial ids, TensorBoard merges runs of equal configuration into one row.
        place = self.run_dir.resolve()
        self._write_summary(hparams_pb(values, trial_id=f"{place.name} ({place.parent.name})"))

    def truncate_after(self, update: int) -> None:
        """Hide the events after ``update``: a purge step in the next event file.

        Event files of an older version move to the run directory, so that the run has one curve.
        """
        self.close()
        older = self.run_dir / "tensorboard"
        for path in sorted(older.glob(EVENTS)):
            move(path, self.run_dir / f"{path.name}{EVENTS_SUFFIX}")
        if older.is_dir() and not any(older.iterdir()):
            remove(older)
        self._purge_step = update + 1

    def close(self) -> None:
        """Write the scores of the best model, and close the event file. Logging again opens a new one."""
        if self._best is not None:
            found_at, values = self._best
            self.scalars(found_at, values)
            self._best = None
        if self._open_writer is not None:
            self._open_writer.close()
            self._open_writer = None

    def _writer(self) -> SummaryWriter:
        if self._open_writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._open_writer = SummaryWriter(
                self.run_dir,
                purge_step=self._purge_step,
                flush_secs=20,
                filename_suffix=EVENTS_SUFFIX,
            )
            self._purge_step = None
        return self._open_writer

    def _write_summary(self, summary: Any, step: int = 0) -> None:
        file_writer = self._writer().file_writer
        assert file_writer is not None
        file_writer.add_summary(summary, step)
