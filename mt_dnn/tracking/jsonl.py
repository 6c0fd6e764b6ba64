"""Write a run's values to metrics.jsonl and timing.jsonl."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from data_utils.files import atomic_file
from mt_dnn.tracking.tracker import Tracker
from mt_dnn.tracking.values import jsonable


class JsonLines(Tracker):
    """Values as JSON lines in ``metrics.jsonl`` and ``timing.jsonl``. Part of every run.

    A line is ``{"step": 50, "<tag>": value, ...}``. NaN and infinity, which JSON cannot represent,
    become null. Two runs with the same seed write identical metrics.jsonl files on a CPU; measured
    times are in timing.jsonl.
    """

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        self._append("metrics.jsonl", step, values)

    def timings(self, step: int, values: Mapping[str, Any]) -> None:
        self._append("timing.jsonl", step, values)

    def truncate_after(self, update: int) -> None:
        """Remove later lines, and the incomplete line of a killed process.

        As a result, metrics.jsonl of a resumed run equals that of an uninterrupted one.
        """
        for name in ("metrics.jsonl", "timing.jsonl"):
            path = self.run_dir / name
            if path.exists():
                kept = [line for line in path.read_text().splitlines() if _step(line) <= update]
                with atomic_file(path) as stream:
                    stream.writelines(f"{line}\n" for line in kept)

    def _append(self, file: str, step: int, values: Mapping[str, Any]) -> None:
        line = json.dumps({"step": step, **jsonable(values)}, allow_nan=False)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        with (self.run_dir / file).open("a") as stream:
            stream.write(line + "\n")


def _step(line: str) -> float:
    """The step of a JSONL line; infinity for an incomplete line."""
    try:
        return json.loads(line)["step"]
    except json.JSONDecodeError:
        return math.inf
