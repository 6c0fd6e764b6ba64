"""The progress of a run, within 80 columns: a bar on a terminal, plain lines in a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

IN_A_LINE = 4
"""Tasks or data sets that are printed in one line; more become a table."""


@dataclass(frozen=True)
class EvaluationWork:
    """How many rows the evaluations of a run predict, for the estimate of the remaining time."""

    rows_left: Callable[[int], int]
    """Update -> rows that evaluations after it predict, with those of the final scores."""
    rows_per_update: float
    """Training examples of an update."""


class Progress:
    """Show the progress of a run: a bar on a terminal, plain lines in a file.

    Use it as a context manager. :meth:`advance` only moves the bar. :meth:`log` shows losses and speed;
    when the output is a file, it writes one line. :meth:`evaluation` shows the rows of an evaluation, on a
    terminal only.

    Args:
        total: updates of the whole run.
        epochs: passes over the mixture.
        step: updates before resuming; excluded from the pace.
        enabled: True in the main process only.
        work: the evaluations of the run; None leaves them out of the remaining time.
        clock: returns seconds; replaced in tests.
    """

    def __init__(
        self,
        total: int,
        epochs: int,
        *,
        step: int = 0,
        enabled: bool = True,
        work: EvaluationWork | None = None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = console or Console(highlight=False)
        self.enabled = enabled
        self._work = work
        self._evaluated_rows, self._evaluated_seconds = 0, 0.0
        self._total, self._epochs, self._step, self._first = total, epochs, step, step
        self._clock, self._start = clock, clock()
        self._bar: _Bar | None = None
        self._is_shown = enabled and self.console.is_terminal and not self.console.is_dumb_terminal
        if self._is_shown:
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
        speed = [] if examples_per_second is None else [f"{examples_per_second:.0f} examples/s"]
        if self._bar:
            self._bar.note = "  ".join([*speed, *numbers])
            return
        done = f"step {step:>{len(str(self._total))}}/{self._total}"
        elapsed = duration(self._clock() - self._start)
        times = f"{elapsed} elapsed, {duration(self.remaining())} left"
        below = len(numbers) > IN_A_LINE
        line = [done, f"epoch {epoch}/{self._epochs}", *speed, *([] if below else numbers), times]
        self.print("  ".join(line))
        for row in _columns(numbers) if below else ():
            self.print(row)

    def print(self, line: str) -> None:
        """Print a line above the bar, without wrapping."""
        if self.enabled:
            self.console.print(line, markup=False, soft_wrap=True)

    def show(self, table: RenderableType) -> None:
        """Print a table above the bar."""
        if self.enabled:
            self.console.print(table)

    @contextmanager
    def evaluation(self, dataset: str) -> Iterator[Callable[[int, int], None]]:
        """Show the rows of an evaluation that are done, and count them.

        Yields:
            A function of the number of rows done and of all rows.
        """
        own = self._bar if self._bar and self._bar.live.is_started else None
        bar = own or (_Bar(self.console, self._clock, transient=True) if self._is_shown else None)
        task = bar.add_task("", total=None, epoch=f"evaluating {dataset}") if bar else None
        rows = 0

        def advance(done: int, total: int) -> None:
            nonlocal rows
            rows = done
            if bar is not None and task is not None:
                bar.update(task, completed=done, total=total)

        try:
            with bar if bar is not None and bar is not own else nullcontext():
                yield advance
        finally:
            self._evaluated_rows += rows
            if own is not None and task is not None:
                own.remove_task(task)

    def evaluated(self, seconds: float) -> None:
        """Note the time that the evaluations so far took, with saving and logging their results."""
        self._evaluated_seconds += seconds

    def remaining(self) -> float | None:
        """Seconds to the end of the run, evaluations included; None before the first update.

        Updates continue at their mean pace, and evaluations at their mean pace of a row. Before the first
        evaluation, a row is assumed to take a third of the time of a training example.
        """
        done = self._step - self._first
        if done <= 0:
            return None
        pace = (self._clock() - self._start - self._evaluated_seconds) / done
        seconds = (self._total - self._step) * pace
        if self._work is not None:
            per_row = pace / self._work.rows_per_update / 3
            if self._evaluated_rows:
                per_row = self._evaluated_seconds / self._evaluated_rows
            seconds += self._work.rows_left(self._step) * per_row
        return seconds


def _columns(entries: Sequence[str], each: int = 3) -> Iterator[str]:
    """Yield lines of entries in aligned columns."""
    width = max(map(len, entries))
    for start in range(0, len(entries), each):
        yield "  " + "  ".join(e.ljust(width) for e in entries[start : start + each]).rstrip()


def duration(seconds: float | None) -> str:
    """Format seconds as ``0:01:05``."""
    return "-:--:--" if seconds is None else str(timedelta(seconds=round(seconds)))


class _Remaining(ProgressColumn):
    """The time that a task has taken and, of a run, the time that is left."""

    def render(self, task: Task) -> Text:
        elapsed = duration(task.elapsed or 0.0)
        if "eta" not in task.fields:  # of an evaluation
            return Text(elapsed)
        return Text(f"{elapsed}, {duration(task.fields['eta'])} left")


class _Bar(RichProgress):
    """A progress bar with a line of losses below it, cut at the width of the terminal."""

    def __init__(
        self, console: Console, clock: Callable[[], float], *, transient: bool = False
    ) -> None:
        self.note = ""
        super().__init__(
            TextColumn("{task.fields[epoch]}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _Remaining(),
            console=console,
            transient=transient,
            get_time=clock,
            expand=True,
            refresh_per_second=4,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.note:
            yield Text(self.note, style="cyan", no_wrap=True, overflow="ellipsis")
