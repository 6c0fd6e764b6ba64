"""Write a run's metrics to TensorBoard events, metrics.jsonl and timing.jsonl.

TensorBoard groups scalars and images by the part of a tag before the first slash:

====================================  ============================================================
``train/<task>/loss``                 mean supervised loss over the log interval
``train/<task>/smoothness``           and ``proximal``, ``distill``: other terms, without weights
``train/lr``, ``train/grad_norm``     learning rate ``optim.lr`` times the schedule's factor; global
                                      gradient norm before clipping
``train/padding``                     fraction of the tokens that are padding, in [0, 1]
``train/share/<task>``                fraction of the batches that belong to the task, in [0, 1]
``smart/<task>/<name>``               diagnostics of the smoothness term
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

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from data_utils.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch.utils.tensorboard import SummaryWriter


class Tracker:
    """Writes ``run_dir/metrics.jsonl``, ``run_dir/timing.jsonl`` and ``run_dir/tensorboard``.

    Values are passed by TensorBoard tag; the module's docstring lists the tags in use. A value may be
    anything that a metric returns. TensorBoard receives the numbers only. The JSON line contains all
    values, with null for NaN and infinity, which JSON cannot represent.

    Args:
        enabled: True in the main process only. If False, every method does nothing.
    """

    def __init__(self, run_dir: str | Path, *, enabled: bool = True) -> None:
        self.run_dir = Path(run_dir)
        self.enabled = enabled
        self._purge_step: int | None = None
        self._open_writer: SummaryWriter | None = None

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Log values that are determined by the seed: losses, learning rates, scores.

        Two runs with the same seed write identical metrics.jsonl files. Do not log measured times
        here; use :meth:`timings`.
        """
        self._log("metrics.jsonl", step, values)

    def timings(self, step: int, values: Mapping[str, Any]) -> None:
        """Log values that differ between identical runs: seconds, examples per second, memory."""
        self._log("timing.jsonl", step, values)

    def text(self, tag: str, markdown: str) -> None:
        """Show Markdown in TensorBoard's TEXT tab, at step 0."""
        if self.enabled:
            from tensorboard.plugins.text.summary_v2 import text_pb

            # SummaryWriter.add_text would change the tag to "<tag>/text_summary".
            self._write_summary(text_pb(tag, markdown))

    def figure(self, tag: str, figure: Figure, step: int) -> None:
        """Show a matplotlib figure in TensorBoard's IMAGES tab."""
        if self.enabled:
            import numpy as np
            from matplotlib.backends.backend_agg import FigureCanvasAgg

            # SummaryWriter.add_figure imports pyplot, which has global state and GUI backends.
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # (height, width, RGB)
            self._writer().add_image(tag, pixels, step, dataformats="HWC")

    def hparams(self, config: Mapping[str, Any]) -> None:
        """Add the run to TensorBoard's HPARAMS tab. Call it once, when the run starts.

        The tab shows the last value of every scalar, so it lists a run while it is still training.

        SummaryWriter.add_hparams is not used for two reasons: it writes a second run with a timestamp,
        and it declares columns. TensorBoard uses the columns that one arbitrary run declares for all
        runs. Without a declaration it shows the columns of all runs, and puts hyperparameters that
        differ between runs first.

        Args:
            config: settings by dotted name, as :func:`mt_dnn.config.dotted.flatten` returns them; None values are left out.
        """
        if self.enabled:
            from tensorboard.plugins.hparams.summary_v2 import hparams_pb

            values = {name: _hparam(value) for name, value in config.items() if value is not None}
            # Without trial ids, TensorBoard merges runs of equal configuration into one row.
            place = self.run_dir.resolve()
            self._write_summary(hparams_pb(values, trial_id=f"{place.name} ({place.parent.name})"))

    def truncate_after(self, step: int) -> None:
        """Delete everything logged after ``step``. A resumed run calls this before it logs.

        Later lines are removed from the JSONL files, and so is an incomplete line of a killed process.
        TensorBoard hides the later events. As a result, metrics.jsonl of a resumed run equals that of
        an uninterrupted one.
        """
        if not self.enabled:
            return
        self.close()
        self._purge_step = step + 1
        for name in ("metrics.jsonl", "timing.jsonl"):
            path = self.run_dir / name
            if path.exists():
                kept = [line for line in path.read_text().splitlines() if _step(line) <= step]
                with atomic_file(path) as stream:
                    stream.writelines(f"{line}\n" for line in kept)

    def close(self) -> None:
        """Flush TensorBoard's queue and close the event file. Logging again opens a new one."""
        if self._open_writer is not None:
            self._open_writer.close()
            self._open_writer = None

    def _log(self, file: str, step: int, values: Mapping[str, Any]) -> None:
        if not self.enabled:
            return
        plain = {name: _python_value(value) for name, value in values.items()}
        line = json.dumps({"step": step, **_jsonable(plain)}, allow_nan=False)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        with (self.run_dir / file).open("a") as stream:
            stream.write(line + "\n")
        for name, value in plain.items():
            if isinstance(value, int | float):
                self._writer().add_scalar(name, float(value), step)

    def _writer(self) -> SummaryWriter:
        if self._open_writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._open_writer = SummaryWriter(
                self.run_dir / "tensorboard", purge_step=self._purge_step, flush_secs=20
            )
            self._purge_step = None
        return self._open_writer

    def _write_summary(self, summary: Any) -> None:
        file_writer = self._writer().file_writer
        assert file_writer is not None
        file_writer.add_summary(summary, 0)


def markdown_table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Format a Markdown table. None gives an empty cell; sequences are joined by commas."""
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fenced(text: str, language: str = "yaml") -> str:
    """Format text as a Markdown code block."""
    return f"```{language}\n{text.rstrip()}\n```"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    return str(value).replace("|", r"\|").replace("\n", " ")


def _hparam(value: Any) -> bool | int | float | str:
    """Convert to a scalar. NaN and infinity, which JSON lacks, become strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool | int | float | str):
        return value
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _python_value(value: Any) -> Any:
    """Convert arrays, tensors and their scalars to Python numbers and lists."""
    return value.tolist() if hasattr(value, "tolist") else value


def _jsonable(value: Any) -> Any:
    value = _python_value(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, Iterable):
        return [_jsonable(entry) for entry in value]
    return str(value)


def _step(line: str) -> float:
    """The step of a JSONL line; infinity for an incomplete line."""
    try:
        return json.loads(line)["step"]
    except json.JSONDecodeError:
        return math.inf
