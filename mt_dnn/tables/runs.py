"""Execute the missing runs of a table, each as an ``mt-dnn train`` process, several in parallel."""

from __future__ import annotations

import fcntl
import json
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from data_utils.errors import UserError
from data_utils.files import make_folder, remove, write_text
from mt_dnn.config.dotted import nest
from mt_dnn.tables.pace import Pace
from mt_dnn.tables.plan import PlannedRun
from mt_dnn.tables.processes import (
    MT_DNN,
    Child,
    environment,
    last_line,
    prepare_stores,
    start_process,
)
from mt_dnn.tables.results import FILE as RESULTS
from mt_dnn.tables.results import append_line, read_results, read_run
from mt_dnn.tables.settings import config_hash
from mt_dnn.tables.shares import Share
from mt_dnn.training.signals import GracefulShutdown

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Machine:
    """Resources: number of parallel runs, their threads and GPUs."""

    jobs: int = 1
    threads: int = 1
    """CPU threads of each run."""
    gpus: tuple[str, ...] = ()
    """CUDA devices, assigned to the runs in turn. Empty: every run sees all devices."""


class TableRuns:
    """Executes the runs of a table in one folder.

    ``configs/``, ``logs/`` and ``runs/`` contain the files of each run, ``attempts.jsonl`` the time of
    every attempt including stopped ones, and ``results.jsonl`` the results of finished runs.

    Args:
        out: the table's folder.
        keep_models: keep each run's best model.
        share: the runs are this share of a table. Results and attempts are then written to files of the
            share, because other shares may use the same folder.
        print_line: called with each line of output.
    """

    def __init__(
        self,
        out: Path,
        machine: Machine,
        *,
        keep_models: bool = True,
        share: Share | None = None,
        print_line: Callable[[str], None] = print,
    ) -> None:
        self.out = out
        self.machine = machine
        self.keep_models = keep_models
        self.print_line = print_line
        self.results, self.attempts = (
            out / (share.file(name) if share else name) for name in (RESULTS, "attempts.jsonl")
        )
        self.failed: list[PlannedRun] = []
        self.done: set[str] = set()
        self.starts: set[str] = set()
        self.total = self.finished = 0
        self.pace = Pace(machine.jobs)
        self.left: dict[str, PlannedRun] = {}
        """By hash, the runs that have not ended."""

    def run_missing(self, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
        """Execute the runs without a result, and return the ones that failed.

        The runs that they start from are executed first. Such a run is repeated if it has a result but
        its model has been deleted.

        Raises:
            UserError: another process is executing a run.
            KeyboardInterrupt: stopped by a signal, after the runs have saved a checkpoint.
        """
        for folder in ("configs", "logs", "runs"):
            make_folder(self.out / folder)
        unique: dict[str, PlannedRun] = {}
        for run in runs:
            unique.setdefault(run.hash, run)  # rows with equal settings share their runs
        self.done = set(read_results(self.out))
        self.starts = {run.start.hash for run in runs if run.start is not None}
        missing = [r for r in unique.values() if r.hash not in self.done and not self._record(r)]
        waiting = deque(self._with_starts(missing))
        self.total = len(waiting)
        machine = self.machine
        self.print_line(
            f"{len(unique)} runs: {len(unique) - len(missing)} finished, {len(missing)} to run"
            f"{f' after {extra} that they start from' if (extra := len(waiting) - len(missing)) else ''}, "
            f"{machine.jobs} at once with {machine.threads} CPU threads each; in {self.out}"
        )
        if machine.jobs > 1 and self.total > 1:
            prepare_stores(
                list(waiting),
                write_config=self._write_config,
                log_path=self.out / "logs" / "prepro.log",
                print_line=self.print_line,
            )
        self.left = {run.hash: run for run in waiting}
        self._run_all(waiting)
        if not self.keep_models and not self.failed:
            for run in {run.start.hash: run.start for run in runs if run.start}.values():
                remove(self.out / "runs" / run.name / "best")
        return self.failed

    def _with_starts(self, missing: Sequence[PlannedRun]) -> list[PlannedRun]:
        """The runs, each preceded by the run that it starts from if that run's model is missing."""
        found: dict[str, PlannedRun] = {}

        def add(run: PlannedRun) -> None:
            if run.start is not None and not self._has_model(run.start):
                add(run.start)
            found.setdefault(run.hash, run)

        for run in missing:
            add(run)
        return list(found.values())

    def _has_model(self, run: PlannedRun) -> bool:
        run_dir = self.out / "runs" / run.name
        return read_run(run, run_dir) is not None and (run_dir / "best" / "mt_dnn.json").exists()

    def _run_all(self, waiting: deque[PlannedRun]) -> None:
        running: list[Child] = []
        slots = deque(range(self.machine.jobs))
        forwarded = False
        with GracefulShutdown() as shutdown:
            try:
                while running or (waiting and not shutdown.signal_number):
                    while (
                        slots
                        and not shutdown.signal_number
                        and (run := self._next(waiting, running))
                    ):
                        running.append(self._start(run, slots.popleft()))
                    if shutdown.signal_number and not forwarded:
                        forwarded = True
                        self.print_line(
                            f"stopping: {len(running)} running, each saves a checkpoint"
                        )
                        for child in running:
                            child.process.send_signal(signal.SIGINT)
                    time.sleep(POLL_SECONDS)
                    for child in [c for c in running if c.process.poll() is not None]:
                        running.remove(child)
                        slots.append(child.slot)
                        self._end(child, stopping=forwarded)
            finally:  # after a second Ctrl-C or an error, leave no process behind
                for child in running:
                    child.process.kill()
                    child.process.wait()
        if shutdown.signal_number:
            raise KeyboardInterrupt("stopped; run the same command again to continue")

    def _next(self, waiting: deque[PlannedRun], running: Sequence[Child]) -> PlannedRun | None:
        """Take the first run that can begin; None if all wait for a run that they start from.

        Runs whose starting run failed are marked as failed.
        """
        ahead = {run.hash for run in (*waiting, *(child.run for child in running))}
        for run in list(waiting):
            if run.start is None or run.start.hash not in ahead:
                waiting.remove(run)
                if run.start is None or self._has_model(run.start):
                    return run
                self.failed.append(run)
                self.left.pop(run.hash)
                self.print_line(f"FAILED {run.name}: it starts from {run.start.name}, which failed")
        return None

    def _start(self, run: PlannedRun, slot: int) -> Child:
        run_dir = self.out / "runs" / run.name
        log = (self.out / "logs" / f"{run.name}.log").open("ab")
        try:
            # The run inherits the lock with the file, so the lock remains if the table is killed.
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{run.name} is being executed by another process; see {log.name}"
            ) from None
        has_checkpoint = any(run_dir.glob("checkpoints/step-????????"))
        resume = has_checkpoint and config_hash(run_dir / "config.yml") == run.hash
        config = self._write_config(run)
        how = ["--resume", "true"] if resume else ["--overwrite", "true"]
        command = [*MT_DNN, "train", "--config", str(config), *how]
        variables = environment()
        if self.machine.gpus:
            gpu = self.machine.gpus[slot % len(self.machine.gpus)]
            variables["CUDA_VISIBLE_DEVICES"] = gpu
        process = start_process(command, log, variables)
        return Child(run, process, log, slot, time.monotonic())

    def _write_config(self, run: PlannedRun) -> Path:
        values = run.config | {
            "name": run.name,
            "output_dir": str(self.out / "runs"),
            "seed": run.seed,
            "data.use": list(run.use),
            "system.threads": run.config.get("system.threads") or self.machine.threads,
        }
        if run.start is not None:
            values["model.init_from"] = str(self.out / "runs" / run.start.name)
        path = self.out / "configs" / f"{run.name}.yml"
        write_text(path, yaml.safe_dump(nest(values), sort_keys=False))
        return path

    def _end(self, child: Child, *, stopping: bool) -> None:
        run, code = child.run, child.process.returncode
        child.log.close()
        seconds = round(time.monotonic() - child.started, 1)
        attempt = {"run": run.name, "hash": run.hash, "seconds": seconds, "exit": code}
        append_line(self.attempts, attempt)
        self.left.pop(run.hash)
        if code == 0 and self._record(run):
            self.finished += 1
            self.pace.add(run, seconds)
            self.print_line(self._progress(run, seconds))
        elif not stopping:
            self.failed.append(run)
            self.print_line(
                f"FAILED {run.name} (exit code {code}): {last_line(Path(child.log.name))}"
            )
            self.print_line(f"       its log: {child.log.name}")

    def _record(self, run: PlannedRun) -> bool:
        """Append the result of a finished run, and delete files that are no longer needed.

        Returns:
            Whether the run has a result.
        """
        run_dir = self.out / "runs" / run.name
        result = read_run(run, run_dir)
        if result is None:
            return False
        if run.hash not in self.done:  # a run repeated only for its model is already in the file
            append_line(self.results, result | {"wall_seconds": self._seconds(run)})
            self.done.add(run.hash)
        # A finished run is never resumed.
        remove(run_dir / "checkpoints")
        if not self.keep_models and run.hash not in self.starts:
            remove(run_dir / "best")
        return True

    def _seconds(self, run: PlannedRun) -> float:
        """Wall time of all attempts at the run, in seconds."""
        if not self.attempts.exists():
            return 0.0
        lines = self.attempts.read_text(encoding="utf-8").splitlines()
        attempts = [json.loads(line) for line in lines]
        return round(sum(a["seconds"] for a in attempts if a["hash"] == run.hash), 1)

    def _progress(self, run: PlannedRun, seconds: float) -> str:
        ended = self.finished + len(self.failed)
        left = self.pace.left(self.left.values())
        return f"[{ended}/{self.total}] {run.name}: {seconds:.0f} s; about {left / 60:.0f} min left"
