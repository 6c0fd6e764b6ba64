"""The command ``mt-dnn report``: a page about one run or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_utils.errors import UserError
from data_utils.flags import FlagParser
from mt_dnn.reports.page import FILE, write_report


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn report") -> None:
    """Run the command.

    Args:
        args: arguments without the program's name; None takes ``sys.argv[1:]``.
        prog: name of the program in usage and error messages.

    Raises:
        UserError: several runs without ``--out``, or see :func:`mt_dnn.reports.page.write_report`.
    """
    parser = FlagParser(
        prog=prog,
        description="Write a page about one run, or about several with their differences.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run directory, such as runs/demo")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help=f"file to write; default for a single run: {FILE} in its folder",
    )
    options = parser.parse_args(args)
    if options.out is None and len(options.runs) > 1:
        raise UserError(f"--out is missing: name the page of these {len(options.runs)} runs")
    out = None if options.out is None else Path(options.out)
    # A page in the place of a run's scores or weights would destroy the run.
    if out is not None and out.is_file() and out.suffix not in (".html", ".htm"):
        raise UserError(f"--out: {out} exists and is no page; name a file that ends in .html")
    path = write_report(options.runs, options.out)
    print(f"wrote {path} ({path.stat().st_size / 1000:.0f} kB)")
