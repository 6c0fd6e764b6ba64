"""The ``mt-dnn`` command, which dispatches to subcommands such as ``mt-dnn train``.

This module must not import third-party packages, so that ``mt-dnn --help`` is fast. Subcommands import
torch only after they have parsed their options.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from data_utils.cli import run_cli
from data_utils.errors import UserError


class Command(NamedTuple):
    """A subcommand."""

    module: str
    """Module with the function ``main(args, prog=...)``, which may return an exit code."""
    summary: str
    """Help text in the list of subcommands."""


COMMANDS = {
    "prepare": Command(
        "mt_dnn.runs.command", "tokenize the rows of every task (train also does this)"
    ),
    "new-task": Command(
        "mt_dnn.new_task.command", "look at a file of rows; write a task entry and a run for it"
    ),
    "train": Command("mt_dnn.training.command", "train one encoder on the tasks of a file"),
    "launch": Command(
        "mt_dnn.launch", "run train in several processes: launch --nproc_per_node 2 train"
    ),
    "predict": Command("mt_dnn.inference.command", "predict rows of text with finished runs"),
    "compare": Command(
        "mt_dnn.reports.compare", "show the scores of a run by class, or compare two runs"
    ),
    "robustness": Command(
        "mt_dnn.robustness.command", "score runs on perturbed texts, challenge sets, attacks"
    ),
    "table": Command("mt_dnn.tables.command", "run and render a table of settings and seeds"),
    "report": Command(
        "mt_dnn.reports.command", "write a page about a run, or several side by side"
    ),
    "list": Command(
        "mt_dnn.listing", "print registered kinds: task types, metrics, optimizers, ..."
    ),
    "export": Command("mt_dnn.publish.export", "export a finished run as a transformers model"),
    "average": Command("mt_dnn.publish.average", "average the weights of finished runs"),
    "import": Command("mt_dnn.from_mt_dnn.importer", "import a checkpoint of the original MT-DNN"),
}


def main(args: Sequence[str] | None = None) -> None:
    """Run a subcommand and exit with its exit code.

    Exit codes: 0 on success, 1 if a part of the work failed, 2 after an error of the user.

    Args:
        args: arguments without the program's name; None takes ``sys.argv[1:]``.
    """
    run_cli(lambda: _dispatch(list(sys.argv[1:] if args is None else args)))


def _dispatch(args: list[str]) -> int:
    """Run the subcommand that the first argument names, and return its exit code."""
    if not args or args[0] in ("-h", "--help"):
        print(_usage(), file=sys.stdout if args else sys.stderr)
        return 0 if args else 2
    name, *rest = args
    if name not in COMMANDS:
        from data_utils.registry import choices_hint

        raise UserError(f"mt-dnn has no command {name!r}.{choices_hint(name, COMMANDS)}")
    code = import_module(COMMANDS[name].module).main(rest, prog=f"mt-dnn {name}")
    return code or 0


def _usage() -> str:
    """Return the text of ``mt-dnn --help``."""
    lines = [f"  {name:<10} {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mt-dnn COMMAND [options]",
            "",
            "Multi-task fine-tuning of one shared encoder, with SMART regularization.",
            "",
            "commands:",
            *lines,
            "",
            "mt-dnn COMMAND --help lists the options of a command.",
        ]
    )


if __name__ == "__main__":
    main()
