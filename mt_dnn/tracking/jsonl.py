"""Write a run's values to metrics.jsonl and timing.jsonl."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_utils.errors import UserError
from data_utils.files import append_line, atomic_file, cut_back, make_folder, sync
from mt_dnn.tracking.tracker import Tracker
from mt_dnn.tracking.values import jsonable

FILES = ("metrics.jsonl", "timing.jsonl")


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
        for name in FILES:
            path = self.run_dir / name
            if path.exists():
                text = path.read_text(encoding="utf-8", errors="replace")
                kept = [line for line in text.split("\n") if _step(line) <= update]
                with atomic_file(path) as stream:
                    stream.writelines(f"{line}\n" for line in kept)

    def _append(self, file: str, step: int, values: Mapping[str, Any]) -> None:
        line = json.dumps({"step": step, **jsonable(values)}, allow_nan=False)
        make_folder(self.run_dir)
        append_line(self.run_dir / file, line)


def sync_logs(run_dir: Path) -> dict[str, int]:
    """Wait until the files are on the disk; return their sizes in bytes, for a checkpoint."""
    sizes = {}
    for name in FILES:
        if (run_dir / name).exists():
            sync(run_dir / name)
            sizes[name] = (run_dir / name).stat().st_size
    sync(run_dir)
    return sizes


def cut_back_logs(run_dir: Path, sizes: Mapping[str, int]) -> None:
    """Cut the files back to the sizes that :func:`sync_logs` returned, where a line ends there.

    A file that was edited since then has other sizes. It keeps all lines up to the update of the checkpoint.
    """
    for name, size in sizes.items():
        path = run_dir / name
        start = path.read_bytes()[:size] if path.exists() else b""
        if len(start) == size and start[-1:] in (b"", b"\n"):
            cut_back(path, size)


def check_logs(run_dir: Path, sizes: Mapping[str, int]) -> None:
    """Check the lines that a resumed run keeps, before anything is written.

    Lines after those of the checkpoint are not kept. After a power cut they can have any content.

    Args:
        sizes: of the files when the checkpoint was saved, as :func:`sync_logs` returned them.

    Raises:
        UserError: another line is not a JSON object with a number of updates; the message has file and line.
    """
    for name, size in sizes.items():
        path = run_dir / name
        lines = path.read_bytes()[:size].split(b"\n")[:-1] if path.exists() else []
        for number, line in enumerate(lines, start=1):
            if line.strip() and _step(line) == math.inf:
                raise UserError(
                    f"{path}:{number}: {line.decode(errors='replace'):.60} is not a line of a run, such as "
                    f'{{"step": 50, "eval/average": 71.2}}; correct or delete the line, then resume'
                )


def _step(line: str | bytes) -> float:
    """The step of a JSONL line; infinity for an incomplete line."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return math.inf
    return step if type(step) in (int, float) and math.isfinite(step) else math.inf
