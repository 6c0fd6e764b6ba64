"""results.jsonl: one line for each finished run, with its scores and their provenance."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_utils import files, strict_json
from data_utils.errors import UserError
from mt_dnn.config.run_format import NUMERICS, check_run
from mt_dnn.tables.plan import PlannedRun
from mt_dnn.tables.settings import config_hash

FILE = "results.jsonl"
SHARES = "results-*-of-*.jsonl"
"""Results of the shares of a table, in the same folder."""
PROVENANCE = ("mt_dnn", "commit", "python", "packages", "platform", "device", "threads", "data")
"""Keys that a result copies from the run's environment.json."""
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|NaN|-?Infinity|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?')
"""A string, a number, or a constant that JSON does not have."""

Result = dict[str, Any]


def read_results(folder: Path) -> dict[str, Result]:
    """Read all results of a folder by run hash. If a run occurs twice, the last line counts.

    The results of shares (``results-2-of-8.jsonl``) are read before those of results.jsonl.

    Raises:
        UserError: a line is not a result, or holds NaN or infinity; the message gives file and line.
    """
    return {
        result["hash"]: result for path in result_files(folder) for _, result in read_lines(path)
    }


def result_files(folder: Path) -> list[Path]:
    """The files in ``folder`` that have results."""
    own = [folder / FILE] if (folder / FILE).exists() else []
    return [*sorted(folder.glob(SHARES)), *own]


def read_lines(path: Path) -> Iterator[tuple[int, Result]]:
    """Read the results of a file, each with the number of its line.

    Raises:
        UserError: the file cannot be read, or a line is not a result, or holds NaN or infinity.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line:
            continue
        check_finite(line, path, first=number)
        try:
            result = json.loads(line)
            result["hash"], result["scores"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise UserError(
                f"{path}:{number}: not a result; delete the line, then the run's result is read from "
                f"its folder again"
            ) from None
        yield number, result


def check_finite(text: str, path: Path, *, first: int = 1) -> None:
    """Check that JSON text has no NaN, no infinity, and no number that is read as one, such as 1e999.

    Args:
        first: the number of the text's first line in the file.

    Raises:
        UserError: with file and line.
    """
    for match in TOKEN.finditer(text):
        token = match[0]
        if not token.startswith('"') and not math.isfinite(float(token)):
            line = first + text.count("\n", 0, match.start())
            raise UserError(
                f"{path}:{line}: {token} is not a finite number, so the score or setting that it stands for "
                f"is unknown; write null in its place, or delete the result to run it again"
            )


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Append one line, durably. NaN and infinite numbers become null."""
    finite = json.loads(strict_json.dumps(entry))
    files.append_line(path, json.dumps(finite, sort_keys=True, ensure_ascii=False), durable=True)


def read_run(run: PlannedRun, run_dir: Path) -> Result | None:
    """Read the result in a run's folder; None if the run has not finished or is another run.

    Raises:
        UserError: the run has a newer format, or scores that are NaN or infinite.
    """
    check_run(run_dir)
    try:
        text = (run_dir / "scores.json").read_text(encoding="utf-8")
        best = json.loads(text)
        environment = json.loads((run_dir / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if config_hash(run_dir / "config.yml") != run.hash:
        return None
    check_finite(text, run_dir / "scores.json")
    return {
        "hash": run.hash,
        "row": run.row,
        "use": list(run.use),
        "seed": run.seed,
        "run": run.name,
        "config": run.identity,
        "average": best.get("average"),
        "scores": best["scores"],
        "baselines": best["baselines"],
        "test": best.get("test", []),  # older runs scored no test sets
        "step": best["step"],
        "numerics": NUMERICS,  # otherwise the hashes would differ
    } | {key: environment.get(key) for key in PROVENANCE}
