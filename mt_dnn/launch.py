"""The command ``mt-dnn launch``: another command in several processes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from data_utils.flags import FlagParser

HELP = """\
usage: {prog} [OPTIONS] COMMAND [...]

Run a command of mt-dnn, such as train, in several processes:

  {prog} --nproc_per_node 2 train --config run.yml

OPTIONS are those of torchrun; torchrun --help lists them.
"""


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn launch") -> int:
    """Run a command of ``mt-dnn`` as torchrun would, and return the exit code of its processes.

    torchrun adds a long report to the error message of a process, and always exits with 1.

    Args:
        args: options of torchrun, then the command with its own options.
        prog: name of the program in usage and error messages.

    Returns:
        0, or the exit code of the first process that failed by itself.
    """
    args = list(sys.argv[1:] if args is None else args)
    if not args or args[0] in ("-h", "--help"):
        print(HELP.format(prog=prog), end="", file=sys.stdout if args else sys.stderr)
        return 0 if args else 2
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import get_args_parser, run

    parser = FlagParser(prog=prog, parents=[get_args_parser()], add_help=False, allow_abbrev=True)
    options = parser.parse_args(args)
    options.training_script_args.insert(0, options.training_script)
    options.module, options.training_script = True, "mt_dnn.cli"
    if options.nnodes == "1:1":  # the default: one machine, where any free port will do
        options.standalone = True
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        run(options)
    except SignalException as stop:
        return 128 + stop.sigval
    except ChildFailedError as error:
        codes = [failure.exitcode for failure in error.failures.values()]
        # A negative code is a signal, which torchrun sends to the others once one has failed.
        return next((code for code in codes if code > 0), 1)
    return 0
