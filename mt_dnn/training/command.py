"""The command ``mt-dnn train``, also available as ``python train.py``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from data_utils.errors import UserError
from mt_dnn.config.parser import located, parse_config
from mt_dnn.training.failure import one_message


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn train") -> None:
    """Run the command.

    Args:
        args: arguments without the program's name; None takes ``sys.argv[1:]``.
        prog: name of the program in usage and error messages.
    """
    description = "Train one encoder on the tasks of a file."
    with one_message():
        config = parse_config(args, prog=prog, description=description)
        if os.environ.get("RANK", "0") == "0":  # the next lines take seconds
            tasks = ", ".join(config.data.use) or "all tasks"
            print(
                f"Run {config.name}: {tasks} of {config.data.tasks}, {config.model.encoder}",
                flush=True,
            )
        from mt_dnn.training.trainer import Trainer  # imports torch; --help should be fast

        with located(args):
            trainer = Trainer(config)
        trainer.fit()
    if trainer.is_main and config.train.report:
        _write_report(trainer.run_dir)


def _write_report(run_dir: Path) -> None:
    """Write report.html. The run has finished, so that a fault of its page is only a note."""
    from mt_dnn.reports.page import write_report

    try:
        print(f"Report: {write_report([run_dir])}")
    except Exception as error:  # also an error of our own in the page must not fail the run
        reason = str(error) if isinstance(error, UserError) else repr(error)
        print(f"note: no report.html: {reason}", file=sys.stderr)
