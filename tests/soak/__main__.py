"""``python -m tests.soak``: all accidents, two at a time, and a table of them. About ten minutes."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.soak.accidents import (
    Accident,
    full_disks,
    kills,
    overwrite_kills,
    power_cuts,
    prepare_kills,
    random_kills,
    read_only,
    two_preparing,
    two_writers,
)
from tests.soak.scenes import Scenes, Violation


def main() -> int:
    began = time.monotonic()
    rows = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        scenes = Scenes(Path(folder) / "soak")
        plans: dict[str, Iterable[Accident]] = {
            "kill -9 at a file operation, plain": kills(scenes, "plain", stride=1),
            "kill -9 at a file operation, SMART": kills(scenes, "SMART", stride=7),
            "two kill -9 at random moments, plain": random_kills(scenes, "plain", 20, seconds=1.5),
            "two kill -9 at random moments, SMART": random_kills(scenes, "SMART", 20, seconds=1.5),
            "kill -9 while a run is replaced": overwrite_kills(scenes, "plain", range(3, 60, 2)),
            "kill -9 while data is prepared": prepare_kills(scenes, stride=3),
            "power cut, plain": power_cuts(scenes, "plain", 40),
            "power cut, SMART": power_cuts(scenes, "SMART", 20),
            "full disk": full_disks(scenes, "plain", range(500, 700_000, 60_000)),
            "folder that cannot be written": read_only(scenes, "plain"),
            "two processes in one run": two_writers(scenes, "plain"),
            "two processes preparing one store": two_preparing(scenes),
        }
        for name, accidents in plans.items():
            problems = [p for p in pool.map(problem, accidents) if p]
            count = problem.count
            problem.count = 0
            rows.append((name, count, len(problems)))
            print(f"{name}: {count}, {len(problems)} violations", flush=True)
            for text in dict.fromkeys(problems):
                print(f"    {text}", flush=True)
    width = max(len(name) for name, *_ in rows)
    print(f"\n{'accident':<{width}}  times  violations")
    for name, count, wrong in rows:
        print(f"{name:<{width}}  {count:5}  {wrong:10}")
    total, bad = (sum(column) for column in list(zip(*rows, strict=True))[1:])
    print(f"{'all':<{width}}  {total:5}  {bad:10}   in {(time.monotonic() - began) / 60:.1f} min")
    return 1 if bad else 0


class _Problem:
    """Calls an accident and returns its violation, or an empty string."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, accident: Accident) -> str:
        self.count += 1
        try:
            accident()
        except Violation as violation:
            return str(violation)
        return ""


problem = _Problem()

if __name__ == "__main__":
    sys.exit(main())
