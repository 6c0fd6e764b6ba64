"""The child processes of a table: training runs, and the preparation of their data."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mt_dnn.tables.plan import PlannedRun

MT_DNN = [sys.executable, "-P", "-m", "mt_dnn.cli"]
"""The ``mt-dnn`` command of this interpreter. -P ignores an mt_dnn or data_utils in the current folder."""
STORE_SETTINGS = ("data.tasks", "data.data_dir", "data.store_dir", "data.max_seq_len")


@dataclass
class Child:
    """The process of a run in progress."""

    run: PlannedRun
    process: subprocess.Popen
    log: IO[bytes]
    slot: int
    started: float


def prepare_stores(
    runs: Sequence[PlannedRun],
    *,
    write_config: Callable[[PlannedRun], Path],
    log_path: Path,
    print_line: Callable[[str], None],
) -> None:
    """Tokenize before parallel runs start, because they would write the same stores.

    Runs whose data cannot be prepared fail later; the others are not affected.

    Args:
        write_config: writes the configuration of a run, and returns its path.
    """
    groups: dict[tuple, list[PlannedRun]] = {}
    for run in runs:
        key = [run.config.get(name) for name in (*STORE_SETTINGS, "model.encoder")]
        groups.setdefault(tuple(key), []).append(run)
    for group in groups.values():
        use = ",".join(dict.fromkeys(task for run in group for task in run.use))
        command = [*MT_DNN, "prepare", "--config", str(write_config(group[0]))]
        with log_path.open("ab") as log:
            process = start_process([*command, "--data.use", use], log, environment())
            try:
                code = process.wait()
            finally:
                process.kill()
        if code != 0:
            print_line(f"preparing the data failed: {last_line(log_path)}")
            print_line(f"       its log: {log_path}")


def environment() -> dict[str, str]:
    """Return an environment in which a child process imports the same modules as this one."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path}


def start_process(
    command: list[str], log: IO[bytes], environment: dict[str, str]
) -> subprocess.Popen:
    """Start a process in a new session.

    Ctrl-C in the terminal then reaches only the table, which forwards the signal to its runs.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )


def last_line(path: Path) -> str:
    """Return the last line of a log that is not blank."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")
