"""Progress of a prediction on standard error: rows done and rows per second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text


@contextmanager
def rows_done(
    *,
    enabled: bool = True,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int], None]]:
    """Show the number of predicted rows while the block runs; nothing remains afterwards.

    Nothing is shown where standard error is not a terminal.

    Args:
        enabled: False where the predictions themselves go to the terminal.
        console: where to draw; None is standard error.
        clock: returns seconds; replaced in tests.

    Yields:
        A function to call with the number of rows that have just been predicted.
    """
    console = console or Console(stderr=True)
    if not enabled or not console.is_terminal or console.is_dumb_terminal:
        yield lambda count: None
        return
    bar = Progress(
        TextColumn("{task.completed:.0f} rows"),
        BarColumn(bar_width=None),
        _Speed(),
        TimeElapsedColumn(),
        console=console,
        get_time=clock,
        transient=True,
        expand=True,
    )
    with bar:
        task = bar.add_task("", total=None)
        yield lambda count: bar.advance(task, count)


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.completed / task.elapsed:.0f} rows/s" if task.elapsed else "")
