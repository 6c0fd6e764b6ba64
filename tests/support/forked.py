"""Runs as forks of one process that has imported torch, where starting it for each would take minutes."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from typing import IO

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    [
        *("mt_dnn.training.trainer", "mt_dnn.config.parser"),
        *("torch.utils.tensorboard", "matplotlib.figure"),
        *("matplotlib.backends.backend_agg", "sklearn.metrics", "scipy.stats"),
        *("transformers.models.bert.modeling_bert", "torch._dynamo"),
    ]
)


def _train(command: list[str], log: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    assert command[:3] == [sys.executable, "-P", "-m"]
    sys.argv = command[3:]
    runpy.run_module(command[3], run_name="__main__", alter_sys=True)


class ForkedProcess:
    """Popen's face on a process that need not import torch once more."""

    def __init__(self, command: list[str], log: IO[bytes], environment: dict[str, str]) -> None:
        self._process = _processes.Process(target=_train, args=(command, log.name, environment))
        self._process.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)
