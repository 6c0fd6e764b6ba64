"""Console output of a run: its setup, its files and the next commands."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

SCRIPTS = {"train": "train.py", "prepare": "prepro.py", "predict": "predict.py"}
"""The scripts of a checkout that do the same as a subcommand of ``mt-dnn``."""


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


def print_next(
    run_dir: str | Path,
    commands: Mapping[str, str],
    *,
    more: Mapping[str, str] | None = None,
    console: Console | None = None,
) -> None:
    """Print the run's files and the next commands, one per line so that they can be copied.

    Args:
        commands: purpose -> command.
        more: further files of the run and what they are.
    """
    console = console or Console(highlight=False)
    run_dir = Path(run_dir)
    contents = {
        "best": "the best model",
        **(more or {}),
        "checkpoints": "to resume from",
        "scores.json": "scores of the best model on dev and test sets",
        "predictions": "of the best model on the evaluation sets",
        "errors": "most confident mistakes and least certain predictions",
        "metrics.jsonl": "losses and scores",
        "events.out.*": "losses and scores as curves, for TensorBoard",
        "config.yml": "all settings, to repeat the run",
    }
    _line(console, f"Run: {run_dir}")
    for name, meaning in contents.items():
        if any(run_dir.glob(name)):
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
    in_checkout = started.name in SCRIPTS.values()
    if in_checkout and name in SCRIPTS:
        script = started.with_name(SCRIPTS[name])
        return f"{python()} {_from_here(script) or script}"
    if in_checkout or started.parts[-2:] == ("mt_dnn", "cli.py"):
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
