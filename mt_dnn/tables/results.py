"""results.jsonl: one line for each finished run, with its scores and their provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_utils import files
from data_utils.errors import UserError
from mt_dnn.config.run_format import NUMERICS, check_run
from mt_dnn.tables.plan import PlannedRun
from mt_dnn.tables.settings import config_hash

FILE = "results.jsonl"
PROVENANCE = ("mt_dnn", "commit", "python", "packages", "platform", "device", "threads", "data")
"""Keys that a result copies from the run's environment.json."""

Result = dict[str, Any]


def read_results(folder: Path) -> dict[str, Result]:
    """Read all results by run hash. If a run occurs twice, the last line counts.

    Raises:
        UserError: a line is not a result; the message gives file and line.
    """
    path = folder / FILE
    results: dict[str, Result] = {}
    if not path.exists():
        return results
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            result = json.loads(line)
            results[result["hash"]] = result
        except (ValueError, TypeError, KeyError):
            raise UserError(
                f"{path}:{number}: not a result; delete the line, then the run's result is read from "
                f"its folder again"
            ) from None
    return results


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Append one line, durably."""
    files.append_line(path, json.dumps(entry, sort_keys=True, ensure_ascii=False), durable=True)


def read_run(run: PlannedRun, run_dir: Path) -> Result | None:
    """Read the result in a run's folder; None if the run has not finished or is another run.

    Raises:
        UserError: the run has a newer format.
    """
    check_run(run_dir)
    try:
        best = json.loads((run_dir / "scores.json").read_text(encoding="utf-8"))
        environment = json.loads((run_dir / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if config_hash(run_dir / "config.yml") != run.hash:
        return None
    return {
        "hash": run.hash,
        "row": run.row,
        "use": list(run.use),
        "seed": run.seed,
        "run": run.name,
        "config": run.identity,
        "scores": best["scores"],
        "baselines": best["baselines"],
        "step": best["step"],
        "numerics": NUMERICS,  # otherwise the hashes would differ
    } | {key: environment.get(key) for key in PROVENANCE}
