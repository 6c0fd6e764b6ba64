"""The command line as a user runs it: two processes under torchrun, and a signal from outside."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mt_dnn.config.run import RunConfig
from mt_dnn.runs.run_dir import config_yaml
from mt_dnn.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
needs_gloo = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="torch without gloo",
)


def command(config: RunConfig, folder: Path, *launcher: str) -> list[str]:
    path = folder / f"{config.name}.yml"
    path.write_text(config_yaml(config))
    return [sys.executable, *launcher, str(ROOT / "train.py"), "--config", str(path)]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def checkpoint(run_dir: Path, step: int, name: str) -> dict[str, torch.Tensor]:
    return load_file(run_dir / "checkpoints" / f"step-{step:08d}" / f"{name}.safetensors")


@needs_gloo
def test_two_processes_do_what_one_does(tiny_config, still_encoder_folder, tmp_path):
    """Without dropout, and noise aside: the same batches in two halves, gradients averaged."""
    options = {
        "smart": "smart",
        "model": {"encoder": str(still_encoder_folder), "dropout": 0.0},
        "batch": {"size": 4, "accumulate": 2},
        # A ranking head's bias has no gradient but rounding, which a small eps would blow up.
        "optim": {"eps": 1e-4},
        "train": {"max_steps": 5, "log_every": 1},
        "system": {"device": "cpu", "threads": 1},
    }
    one = Trainer(tiny_config(name="one", **options))
    one.fit()
    two = tiny_config(name="two", **options)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        command(two, tmp_path, *launcher),
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    run_dir = Path(two.output_dir) / "two"
    assert done.stdout.count("Dev scores") == 1  # one process speaks
    assert json.loads((run_dir / "environment.json").read_text())["device"].startswith("2 x cpu")
    for name in ("model", "terms"):
        mine, theirs = checkpoint(run_dir, 5, name), checkpoint(one.run_dir, 5, name)
        assert mine.keys() == theirs.keys()
        for key, tensor in mine.items():
            torch.testing.assert_close(tensor, theirs[key], rtol=0, atol=2e-4)

    def losses(folder: Path) -> list[tuple[int, str, float]]:
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        wanted = [(line["step"], k, v) for line in lines for k, v in line.items() if "loss" in k]
        return sorted(wanted)

    mine, theirs = losses(run_dir), losses(one.run_dir)
    assert [entry[:2] for entry in mine] == [entry[:2] for entry in theirs]
    # The mean over both processes: one's own half alone would be off by far more.
    assert [e[2] for e in mine] == pytest.approx([e[2] for e in theirs], rel=1e-2)
    assert not list(run_dir.glob("**/*.partial"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(tiny_config, tmp_path, number):
    config = tiny_config(
        name="endless", train={"epochs": 10_000, "eval_every": 10**9, "save_every": 0}
    )
    with subprocess.Popen(
        command(config, tmp_path),
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("step "):
                process.send_signal(number)
                break
        _, message = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in message
    resume = shlex.split(message.partition("continue with: ")[2])
    assert resume[0].endswith("python")
    assert resume[1:3] == ["train.py", "--config"]
    assert resume[-2:] == ["--resume", "true"]
    run_dir = Path(resume[3]).parent
    (saved,) = (run_dir / "checkpoints").iterdir()
    assert f"update {int(saved.name.removeprefix('step-'))} of" in message
    assert (saved / "state.json").exists()
