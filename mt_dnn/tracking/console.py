"""Console output of a run, within 80 columns: setup, progress bar, table of scores."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from rich.box import SIMPLE
from rich.console import Console, RenderableType
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

MISSING = "-"
SCRIPTS = {"train": "train.py", "prepare": "prepro.py", "predict": "predict.py"}
"""The scripts of a checkout that do the same as a subcommand of ``mt-dnn``."""


@dataclass(frozen=True)
class ScoreRow:
    """One line of the final table. Scores are percentages."""

    dataset: str
    metric: str
    score: float | None
    baseline: float | None
    """Score of always predicting the majority class, or the mean; None if undefined."""
    best_step: int | None
    """Update after which the scored model was saved."""
    in_average: bool = True
    """Whether the metric is the task's metric_for_best. Other metrics are marked as not averaged."""


class Progress:
    """Show the progress of a run: a bar on a terminal, plain lines in a file.

    Use it as a context manager. :meth:`advance` only moves the bar. :meth:`log` shows losses and speed;
    when the output is a file, it writes one line.

    Args:
        total: updates of the whole run.
        epochs: passes over the mixture.
        step: updates before resuming; excluded from the pace.
        enabled: True in the main process only.
        clock: returns seconds; replaced in tests.
    """

    def __init__(
        self,
        total: int,
        epochs: int,
        *,
        step: int = 0,
        enabled: bool = True,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = console or Console(highlight=False)
        self.enabled = enabled
        self._total, self._epochs, self._step, self._first = total, epochs, step, step
        self._clock, self._start = clock, clock()
        self._bar: _Bar | None = None
        if enabled and self.console.is_terminal and not self.console.is_dumb_terminal:
            self._bar = _Bar(self.console, self._clock)
            self._task = self._bar.add_task("", total=total, completed=step, epoch="", eta=None)

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, step: int, *, epoch: int) -> None:
        """Set the bar to ``step`` finished updates; ``epoch`` counts from 1."""
        self._step = step
        if self._bar:
            self._bar.update(
                self._task,
                completed=step,
                epoch=f"epoch {epoch}/{self._epochs}",
                eta=self.remaining(),
            )

    def log(
        self,
        step: int,
        *,
        epoch: int,
        losses: Mapping[str, float],
        examples_per_second: float | None = None,
    ) -> None:
        """Show each task's mean loss over the log interval, and the speed."""
        self.advance(step, epoch=epoch)
        numbers = [f"{task} {loss:.4f}" for task, loss in losses.items()]
        if examples_per_second is not None:
            numbers.insert(0, f"{examples_per_second:.0f} examples/s")
        if self._bar:
            self._bar.note = "  ".join(numbers)
        else:
            done = f"step {step:>{len(str(self._total))}}/{self._total}"
            elapsed = duration(self._clock() - self._start)
            self.print(
                "  ".join(
                    [
                        done,
                        f"epoch {epoch}/{self._epochs}",
                        *numbers,
                        f"{elapsed} elapsed, {duration(self.remaining())} left",
                    ]
                )
            )

    def print(self, line: str) -> None:
        """Print a line above the bar, without wrapping."""
        if self.enabled:
            self.console.print(line, markup=False, soft_wrap=True)

    def remaining(self) -> float | None:
        """Seconds to the end at the mean pace so far, evaluation included; None before the first update."""
        done = self._step - self._first
        if done <= 0:
            return None
        return (self._total - self._step) * (self._clock() - self._start) / done


def duration(seconds: float | None) -> str:
    """Format seconds as ``0:01:05``."""
    return "-:--:--" if seconds is None else str(timedelta(seconds=round(seconds)))


def summary(facts: Mapping[str, str], *, title: str = "", console: Console | None = None) -> None:
    """Print a run's settings, one per line: ``{"encoder": "bert-base, ..."}``."""
    console = console or Console(highlight=False)
    if title:
        console.print(Text(title, style="bold"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(f"  {name}", Text(value))
    console.print(grid)


def print_scores_table(
    rows: Sequence[ScoreRow], *, average: float | None = None, console: Console | None = None
) -> None:
    """Print the dev scores of the best model, each with its baseline."""
    console = console or Console(highlight=False)
    table = Table(title="Dev scores", title_style="bold", title_justify="left", box=SIMPLE)
    table.add_column("dataset", overflow="fold")
    table.add_column("metric", overflow="fold")
    for name in ("score", "baseline", "best step"):
        table.add_column(name, justify="right", no_wrap=True)
    previous = None
    for row in rows:
        style = "" if row.in_average else "dim"
        table.add_row(
            "" if row.dataset == previous else Text(row.dataset),
            Text(row.metric if row.in_average else f"({row.metric})"),
            Text(_number(row.score), style="bold" if row.in_average else ""),
            _number(row.baseline),
            MISSING if row.best_step is None else str(row.best_step),
            style=style,
        )
        previous = row.dataset
    if average is not None:
        table.add_section()
        table.add_row("average", "", Text(_number(average), style="bold"), "", "")
    console.print(table)
    console.print("baseline: always the majority class, or the mean", style="dim")
    if average is not None and not all(row.in_average for row in rows):
        console.print("(metric): not part of the average", style="dim")


def print_next(
    run_dir: str | Path, commands: Mapping[str, str], *, console: Console | None = None
) -> None:
    """Print the run's files and the next commands, one per line so that they can be copied.

    Args:
        commands: purpose -> command.
    """
    console = console or Console(highlight=False)
    run_dir = Path(run_dir)
    contents = {
        "best": "the best model",
        "checkpoints": "to resume from",
        "predictions": "of the best model on the evaluation sets",
        "metrics.jsonl": "losses and scores",
        "tensorboard": "losses and scores as curves",
        "config.yml": "all settings, to repeat the run",
    }
    _line(console, f"Run: {run_dir}")
    for name, meaning in contents.items():
        if (run_dir / name).exists():
            _line(console, f"  {name:<14} {meaning}")
    if commands:
        _line(console, "Next:")
    for purpose, command in commands.items():
        _line(console, f"  # {purpose}", style="dim")
        _line(console, f"  {command}", style="cyan")


def python() -> str:
    """Command that starts this Python interpreter: its relative path if it is in the current folder.

    ``make demo`` uses a virtual environment that is not activated.
    """
    return _from_here(Path(sys.executable)) or "python"


def command(name: str) -> str:
    """How to run the subcommand ``name`` of ``mt-dnn`` in the way that this process was started.

    ``mt-dnn train``; ``python train.py`` in a checkout; ``python -m mt_dnn.cli train``.
    """
    started = Path(sys.argv[0])
    if started.name in SCRIPTS.values():
        script = started.with_name(SCRIPTS[name])
        return f"{python()} {_from_here(script) or script}"
    if started.parts[-2:] == ("mt_dnn", "cli.py"):
        return f"{python()} -m mt_dnn.cli {name}"
    if started.name == "mt-dnn":
        return f"{_from_here(started) or 'mt-dnn'} {name}"
    return f"mt-dnn {name}"  # a notebook, or a script of the user's


def _from_here(path: Path) -> str | None:
    """The path relative to the current folder; None where it lies elsewhere."""
    path, here = path.absolute(), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else None


def _line(console: Console, line: str, style: str | None = None) -> None:
    """Print a line without wrapping, so that paths and commands can be copied."""
    console.print(line, style=style, markup=False, soft_wrap=True)


def _number(value: float | None) -> str:
    return MISSING if value is None or value != value else f"{value:.2f}"


class _Remaining(ProgressColumn):
    def render(self, task: Task) -> Text:
        elapsed = duration(task.elapsed or 0.0)
        return Text(f"{elapsed}, {duration(task.fields['eta'])} left")


class _Bar(RichProgress):
    """A progress bar with a line of losses below it, cut at the width of the terminal."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self.note = ""
        super().__init__(
            TextColumn("{task.fields[epoch]}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            _Remaining(),
            console=console,
            get_time=clock,
            expand=True,
            refresh_per_second=4,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.note:
            yield Text(self.note, style="cyan", no_wrap=True, overflow="ellipsis")
