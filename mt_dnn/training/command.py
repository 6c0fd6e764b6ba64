"""The command ``mt-dnn train``, also available as ``python train.py``."""

from __future__ import annotations

from collections.abc import Sequence

from mt_dnn.config.parser import parse_config
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
        from mt_dnn.training.trainer import Trainer  # imports torch; --help should be fast

        Trainer(config).fit()
