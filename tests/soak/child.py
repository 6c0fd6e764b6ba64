"""Train or prepare data in a forked process, and end it at a chosen file operation."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mt_dnn.config.run import RunConfig
from tests.soak.power import PowerCut

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    [
        *("mt_dnn.training.trainer", "mt_dnn.config.parser", "tests.soak.child"),
        *("torch.utils.tensorboard", "sklearn.metrics", "scipy.stats"),
        *("transformers.models.bert.modeling_bert", "torch._dynamo"),
    ]
)
EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate")
"""Audit events that count as file operations, if their path is in the watched folder."""


@dataclasses.dataclass(frozen=True)
class Fate:
    """How a process ends before its time."""

    at_operation: int | None = None
    """Kill -9 before this file operation, counted from 1."""
    after: float | None = None
    """Kill -9 after so many seconds of training."""
    power_cut: int | None = None
    """Lose at this file operation all that is not synced; then kill -9."""
    lose: int = 0
    """Seed of what is lost of it; 0: everything."""
    file_size: int | None = None
    """Largest file in bytes, as a full disk."""


WHOLE = Fate()
"""The process ends by itself."""


def start(task: str, config: RunConfig, watched: Path, log: Path, fate: Fate = WHOLE) -> Any:
    """Start ``task`` (train or prepare); the process writes its output to ``log``."""
    process = _processes.Process(target=_main, args=(task, config, watched, log, fate))
    process.start()
    return process


def run(task: str, config: RunConfig, watched: Path, log: Path, fate: Fate = WHOLE) -> int:
    """Run ``task`` to its end and return its exit code; negative for a signal."""
    process = start(task, config, watched, log, fate)
    process.join()
    if process.exitcode == 255:  # the fork server has missed how the process ended
        last = log.read_text(errors="replace").splitlines()[-2:]
        ended = [
            line.removeprefix("exit code: ") for line in last if line.startswith("exit code: ")
        ]
        return int(ended[0]) if ended else -signal.SIGKILL
    return int(process.exitcode)


def _main(task: str, config: RunConfig, watched: Path, log: Path, fate: Fate) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    import torch

    from data_utils.cli import run_cli
    from mt_dnn.tracking.tensorboard import TensorBoard

    torch.set_num_threads(1)
    TensorBoard.takes_images = False
    if fate.file_size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (fate.file_size, fate.file_size))
    power = PowerCut(watched) if fate.power_cut is not None else None
    counted = _watch(watched, fate, power)
    if fate.after is not None:
        timer = threading.Timer(fate.after, lambda: os.kill(os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    try:
        run_cli(lambda: _work(task, config))
    except SystemExit as end:
        print(f"exit code: {end.code}\noperations: {counted()}", flush=True)
        raise


def _work(task: str, config: RunConfig) -> None:
    if task == "prepare":
        from mt_dnn.runs.stores import prepare_all

        prepare_all(config, print)
    else:
        from mt_dnn.training.trainer import Trainer

        Trainer(config).fit()


def _watch(watched: Path, fate: Fate, power: PowerCut | None) -> Callable[[], int]:
    """Count the file operations in a folder, and end the process before the chosen one."""
    root, count, busy = str(watched), 0, False

    def hook(event: str, args: tuple) -> None:
        nonlocal count, busy
        if busy or event not in EVENTS or not _inside(args, root):
            return
        if event == "open" and not _writes(args):
            return
        count += 1
        if count == fate.at_operation:
            os.kill(os.getpid(), signal.SIGKILL)
        if count == fate.power_cut and power is not None:
            busy = True
            power.cut(fate.lose)
            os.kill(os.getpid(), signal.SIGKILL)

    if fate.at_operation is not None or fate.power_cut is not None:
        sys.addaudithook(hook)
    return lambda: count


def _inside(args: tuple, root: str) -> bool:
    return any(
        isinstance(arg, (str, bytes)) and os.fsdecode(arg).startswith(root) for arg in args[:2]
    )


def _writes(args: tuple) -> bool:
    """Whether an ``open`` writes, or opens a file or folder to sync it."""
    mode, flags = args[1], args[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return mode is None and isinstance(flags, int)
