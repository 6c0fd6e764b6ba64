"""The studies of experiments/ on a GPU, several runs at once, until a stage's time is over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.gpu_bench import Bench
from mt_dnn.tables.results import read_results

FIRST = ["baseline", "r_s_1e-5", "r_s_5e-4", "r_s_balanced", "rdrop", "d_breg"]
"""The rows of the study of SMART that are finished first."""
SAVING = 45
"""Seconds that the runs in progress get to save a checkpoint."""


def study_cases(bench: Bench) -> dict[str, Callable[[], dict[str, Any]]]:
    smart = partial(study, bench, "experiments/smart/study2.yml", "study2")
    return {"first rows": partial(smart, ["--only", *FIRST]), "all rows": partial(smart, [])}


def multitask_cases(bench: Bench) -> dict[str, Callable[[], dict[str, Any]]]:
    table = "experiments/multitask/study.yml"
    return {"all rows": partial(study, bench, table, "multitask", [])}


def study(bench: Bench, table: str, name: str, options: list[str]) -> dict[str, Any]:
    """Run a table in ``DIR/<name>``; its data (``data/<name>``) and encoder must be here.

    A table whose time is over saves checkpoints, and a second call goes on there. Results of earlier calls in
    ``DIR/<name>/results.jsonl`` are not repeated.
    """
    out = bench.out / name
    cores = len(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "mt_dnn.cli", "table", table, "--out", str(out), *options]
    command += ["--jobs", str(cores), "--threads", "1"]
    settings = ["trackers=[]", "system.workers=0"]  # as many processes as cores
    if bench.small:
        settings += ["system.device=cpu", "train.max_steps=2", "data.train_limit=64"]
        command += ["--seeds", "1"]
    command += ["--set", *settings]
    before, started = len(read_results(out)), time.monotonic()
    process = subprocess.Popen(command, stdout=sys.stdout, stderr=sys.stderr)
    unfinished = False
    try:
        code = process.wait(max(bench.deadline - time.monotonic() - SAVING, 1))
    except subprocess.TimeoutExpired:
        unfinished = True
        process.send_signal(signal.SIGINT)
        code = process.wait()
    found = len(read_results(out))
    minutes = (time.monotonic() - started) / 60
    figures = {"exit": code, "runs": found, "runs / minute": (found - before) / minutes}
    return figures | ({"unfinished": True} if unfinished else {})
