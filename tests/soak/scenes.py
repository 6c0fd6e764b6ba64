"""The runs of the soak, and what must hold after every accident."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mt_dnn.config.run import RunConfig
from tests.soak import child
from tests.soak.child import WHOLE, Fate
from tests.support.encoders import tiny_encoder_folder
from tests.support.workspace import TASKS, run_config, write_rows

MODES: dict[str, dict[str, Any]] = {"plain": {}, "SMART": {"smart": "smart"}}
TRAIN = {"max_steps": 6, "eval_every": 2, "save_every": 3}
COMPARED = ("metrics.jsonl", "scores.json", "predictions/*.jsonl", "best/*", "checkpoints/*/*")


class Violation(AssertionError):
    """Something was lost, mixed or changed."""


class Scenes:
    """A workspace with an encoder and rows, and an uninterrupted run of each mode.

    Args:
        folder: an empty folder.
        modes: those of which accidents are wanted.
    """

    def __init__(self, folder: Path, modes: Iterable[str] = tuple(MODES)) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        (self.data / "tasks.yml").write_text(TASKS)
        write_rows(self.data)
        shutil.copy(self.data / "pair_dev.tsv", self.data / "pair_test.tsv")
        self.encoder = tiny_encoder_folder(folder / "tiny")
        self.bests: dict[tuple[str, int], str] = {}
        """Mode and update of a best model -> digest of its weights."""
        self.whole: dict[str, dict[str, bytes]] = {}
        self.operations: dict[str, int] = {}
        self.count = 0
        self._lock = threading.Lock()
        config = self.config("plain")
        child.run("prepare", config, self.data, Path(f"{config.output_dir}.log"))
        self.stores = contents(self.data / "store", ("*/*",))
        for mode in modes:
            config = self.config(mode)
            code, text = self.train(config, mode, Fate(at_operation=10**9))
            if code != 0:
                raise Violation(f"the uninterrupted run failed: {text}")
            self.whole[mode] = contents(run_dir(config))
            self.operations[mode] = int(text.rpartition("operations: ")[2])

    def config(self, mode: str, **changes: Any) -> RunConfig:
        """The configuration of a new run, in an output folder of its own."""
        with self._lock:
            self.count += 1
            folder = self.folder / f"out{self.count:04d}"
        folder.mkdir()
        config = run_config(self.data, self.encoder, folder, train=TRAIN, name="r", **MODES[mode])
        return dataclasses.replace(config, **changes)

    def train(
        self, config: RunConfig, mode: str, fate: Fate = WHOLE, *, replaces: bool = False
    ) -> tuple[int, str]:
        """Run to the end or to its fate, while another thread reads ``best/``; exit code and output.

        Args:
            replaces: the run replaces another one, whose ``best/`` goes.
        """
        log = Path(f"{config.output_dir}.log")
        reader = Reader(run_dir(config) / "best")
        with reader:
            code = child.run("train", config, Path(config.output_dir), log, fate)
        # A power cut replaces the whole tree: what was read before it is no longer to be there.
        if reader.violation and fate.power_cut is None and not replaces:
            raise Violation(reader.violation)
        for step, digest in reader.seen.items() if not replaces else ():
            self.check_best(mode, step, digest)
        return code, log.read_text(errors="replace")

    def check_best(self, mode: str, step: int, digest: str) -> None:
        if self.bests.setdefault((mode, step), digest) != digest:
            raise Violation(f"best/ of update {step} has weights of another update")

    def resumed(self, config: RunConfig, mode: str, *, replaces: bool = False) -> None:
        """Resume a run to its end and compare it with the uninterrupted one.

        Raises:
            Violation: it differs.
        """
        config = dataclasses.replace(config, resume=True, overwrite=False)
        code, text = self.train(config, mode, replaces=replaces)
        if code != 0:
            raise Violation(f"cannot be resumed: {text[-600:]}")
        found, whole = contents(run_dir(config)), self.whole[mode]
        if found.keys() != whole.keys():
            raise Violation(f"other files: {sorted(found.keys() ^ whole.keys())}")
        if odd := [name for name in whole if found[name] != whole[name]]:
            raise Violation(f"differs from the uninterrupted run: {odd}")
        shutil.rmtree(config.output_dir)


def run_dir(config: RunConfig) -> Path:
    return Path(config.output_dir) / config.name


def contents(folder: Path, patterns: tuple[str, ...] = COMPARED) -> dict[str, bytes]:
    """The files of a finished run that must not depend on interruptions."""
    found = {}
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if not path.is_file():
                continue
            data = path.read_bytes()
            if path.name == "checksums.json":  # of state.json, which has the identifier of the run
                continue
            if path.name == "state.json":
                values = json.loads(data)
                for key in ("run", "fingerprint"):
                    values.pop(key)
                values["logs"].pop("timing.jsonl")
                data = json.dumps(values, sort_keys=True).encode()
            found[str(path.relative_to(folder))] = data
    return found


class Reader:
    """Reads ``best/`` again and again while a run writes it.

    ``violation`` says what was wrong; ``seen`` has the digest of the weights at every update.
    """

    def __init__(self, best: Path) -> None:
        self.best = best
        self.violation = ""
        self.seen: dict[int, str] = {}
        self._known: tuple[int, int] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _read(self) -> None:
        while not self._stop.wait(0.002):
            self._look()

    def _look(self) -> None:
        try:
            descriptor = os.open(self.best, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            if self._known is not None:
                self.violation = "best/ was gone"
            return
        try:
            status = os.fstat(descriptor)
            if (status.st_ino, status.st_mtime_ns) == self._known:
                return
            step, digest = read_best(descriptor)
            self._known = (status.st_ino, status.st_mtime_ns)
            if self.seen.setdefault(step, digest) != digest:
                self.violation = f"best/ of update {step} was mixed"
        except (OSError, ValueError):
            # Replaced and deleted while it was read; wrong only if it still has its name.
            if self.best.exists() and self.best.stat().st_ino == status.st_ino:
                self.violation = "best/ was incomplete"
        finally:
            os.close(descriptor)


def read_best(descriptor: int) -> tuple[int, str]:
    """Update and digest of the weights of a model folder that is open."""

    def read(name: str) -> bytes:
        file = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        with open(file, "rb") as stream:
            return stream.read()

    step = json.loads(read("mt_dnn.json"))["step"]
    return step, hashlib.sha256(read("model.safetensors") + read("heads.safetensors")).hexdigest()
