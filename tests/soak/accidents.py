"""Kinds of accidents, and what must hold after each of them."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.soak import child
from tests.soak.child import WHOLE, Fate
from tests.soak.scenes import Scenes, Violation, contents, run_dir

KILLED = -signal.SIGKILL
Accident = Callable[[], None]
"""Raises Violation if something was lost."""


def kills(scenes: Scenes, mode: str, *, stride: int, seed: int = 0) -> Iterator[Accident]:
    """A kill -9 before every ``stride``-th file operation of a run; then the run is resumed."""
    for number in range(1 + seed % stride, scenes.operations[mode] + 1, stride):

        def accident(number: int = number) -> None:
            config = scenes.config(mode)
            expect(scenes.train(config, mode, Fate(at_operation=number)), KILLED)
            scenes.resumed(config, mode)

        yield accident


def random_kills(scenes: Scenes, mode: str, count: int, *, seconds: float) -> Iterator[Accident]:
    """A kill -9 at a random moment, twice: of the run and of the resumed run."""
    rng = random.Random(mode)
    for _ in range(count):

        def accident(
            first: float = rng.uniform(0, seconds), second: float = rng.uniform(0, seconds)
        ) -> None:
            config = scenes.config(mode)
            again = dataclasses.replace(config, resume=True)
            expect(scenes.train(config, mode, Fate(after=first)), KILLED, 0)
            expect(scenes.train(again, mode, Fate(after=second)), KILLED, 0)
            scenes.resumed(config, mode)

        yield accident


def overwrite_kills(scenes: Scenes, mode: str, numbers: range) -> Iterator[Accident]:
    """A kill -9 while a finished run is replaced; resumed, the new run is the result, not the old one."""
    old = scenes.config(mode, seed=1)
    expect(scenes.train(old, f"{mode}, seed 1"), 0)
    for number in numbers:

        def accident(number: int = number) -> None:
            config = scenes.config(mode)
            shutil.copytree(run_dir(old), run_dir(config))
            (run_dir(config) / "note.txt").write_text("mine")
            again = dataclasses.replace(config, overwrite=True)
            expect(scenes.train(again, mode, Fate(at_operation=number), replaces=True), KILLED)
            if (run_dir(config) / "note.txt").read_text() != "mine":
                raise Violation("a file that is not ours was changed")
            marker = (run_dir(config) / "run.json").read_text()
            if marker == (run_dir(old) / "run.json").read_text():  # nothing has been replaced yet
                scenes.train(again, mode, replaces=True)
            scenes.resumed(config, mode, replaces=True)

        yield accident


def prepare_kills(scenes: Scenes, *, stride: int) -> Iterator[Accident]:
    """A kill -9 before every ``stride``-th file operation of preparing; prepared again, stores are equal."""

    def stores(name: str) -> Path:
        return scenes.folder / "stores" / name

    def prepare(name: str, fate: Fate = WHOLE) -> tuple[int, str]:
        config = scenes.config("plain")
        data = dataclasses.replace(config.data, store_dir=str(stores(name)))
        stores(name).mkdir(parents=True, exist_ok=True)
        config = dataclasses.replace(config, data=data)
        code = child.run("prepare", config, stores(name), log(config), fate)
        return code, log(config).read_text()

    code, text = prepare("all", Fate(at_operation=10**9))
    expect((code, text), 0)
    for number in range(1, int(text.rpartition("operations: ")[2]) + 1, stride):

        def accident(number: int = number) -> None:
            expect(prepare(f"n{number}", Fate(at_operation=number)), KILLED)
            expect(prepare(f"n{number}"), 0)
            if contents(stores(f"n{number}"), ("*/*",)) != scenes.stores:
                raise Violation("stores differ")
            shutil.rmtree(stores(f"n{number}"))

        yield accident


def power_cuts(scenes: Scenes, mode: str, count: int) -> Iterator[Accident]:
    """A power cut at a random file operation, which loses all or a part of what is not synced."""
    rng = random.Random(f"power {mode}")
    for index in range(count):
        number = rng.randint(1, scenes.operations[mode])

        def accident(number: int = number, lose: int = index % 4) -> None:
            config = scenes.config(mode)
            expect(scenes.train(config, mode, Fate(power_cut=number, lose=lose)), KILLED)
            scenes.resumed(config, mode)

        yield accident


def full_disks(scenes: Scenes, mode: str, sizes: range) -> Iterator[Accident]:
    """A disk on which no file may be larger than so many bytes: one sentence, and nothing is lost."""
    for size in sizes:

        def accident(size: int = size) -> None:
            config = scenes.config(mode)
            code, text = scenes.train(config, mode, Fate(file_size=size))
            expect((code, text), 2, 0)
            if code == 2 and ("Traceback" in text or "cannot be written" not in text):
                raise Violation(f"no sentence: {text[-600:]}")
            if left := [str(p) for p in run_dir(config).rglob("*.partial")]:
                raise Violation(f"left: {left}")
            scenes.resumed(config, mode)

        yield accident


def read_only(scenes: Scenes, mode: str) -> Iterator[Accident]:
    """A folder without permission to write; root may write everywhere, so that a file is in the way."""

    def accident() -> None:
        config = scenes.config(mode)
        Path(config.output_dir).chmod(0o500)
        if os.access(config.output_dir, os.W_OK):
            run_dir(config).write_text("a file")
        code, text = scenes.train(config, mode)
        Path(config.output_dir).chmod(0o700)
        expect((code, text), 2)
        if "Traceback" in text or "cannot be written" not in text:
            raise Violation(f"no sentence: {text[-600:]}")

    yield accident


def two_writers(scenes: Scenes, mode: str) -> Iterator[Accident]:
    """A second process in the same run folder is refused; a killed one leaves no lock behind."""

    def accident() -> None:
        config = scenes.config(mode)
        watched, first = Path(config.output_dir), log(config)
        process = child.start("train", config, watched, first)
        while not (run_dir(config) / "config.yml").exists() and process.is_alive():
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            second = Path(f"{config.output_dir}.second.log")
            for how in ("resume", "overwrite"):
                again = dataclasses.replace(config, **{how: True})
                code = child.run("train", again, watched, second)
                text = second.read_text()
                if code != 2 or "is in use by another process" not in text:
                    raise Violation(f"the second process: {code}, {text[-300:]}")
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        scenes.resumed(config, mode)

    yield accident


def two_preparing(scenes: Scenes) -> Iterator[Accident]:
    """Two processes prepare the same stores; both end well, with the stores of one process."""

    def accident() -> None:
        config = scenes.config("plain")
        folder = scenes.folder / "stores" / f"two{scenes.count}"
        folder.mkdir(parents=True)
        data = dataclasses.replace(config.data, store_dir=str(folder))
        config = dataclasses.replace(config, data=data)
        both = [child.start("prepare", config, folder, log(config)) for _ in range(2)]
        for process in both:
            process.join()
        if codes := [p.exitcode for p in both if p.exitcode]:
            raise Violation(f"exit codes {codes}: {log(config).read_text()[-300:]}")
        if contents(folder, ("*/*",)) != scenes.stores:
            raise Violation("stores differ")

    yield accident


def log(config) -> Path:
    return Path(f"{config.output_dir}.log")


def expect(ended: tuple[int, str], *codes: int) -> None:
    code, text = ended
    if code not in codes:
        raise Violation(f"exit code {code} instead of {codes}: {text[-600:]}")
