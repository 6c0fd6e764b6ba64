"""The command line as a user runs it: two processes under torchrun, and a signal from outside."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import mt_dnn.objective.smoothness as smoothness
from mt_dnn.config.run import RunConfig, TermConfig
from mt_dnn.runs.run_dir import config_yaml
from tests.support.forked import ForkedProcess
from tests.support.runs import copy_workspace, run
from tests.support.words import WORDS
from tests.support.workspace import TASKS

ROOT = Path(__file__).parents[2]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
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


WORDS_TASK = """\
words:
  data_format: Sequence
  task_type: SequenceLabeling
  labels: [O, B-x]
  metric_meta: [ACC]
"""
NOISE = """\
import mt_dnn.objective.smoothness as smoothness
from tests.integration.test_distributed import noise_of_examples

smoothness._noise = noise_of_examples
"""
BAD_RANK = """\
import os

from data_utils.errors import UserError
from mt_dnn.objective.terms import LossTerm
from mt_dnn.registries import LOSS_TERMS


@LOSS_TERMS.register("bad_rank")
class BadRank(LossTerm):
    tag = "bad"

    def __init__(self, model):
        super().__init__()

    def compute(self, step):
        if os.environ["RANK"] == "1" and step.progress > 0:
            raise UserError("rank 1 has no disk")
        return None
"""


def noise_of_examples(embeds, mask, config, generator) -> torch.Tensor:
    """Noise that is a function of each example, so that parts of a batch get that of the whole."""
    noise = config.sigma * (1000 * embeds.detach()).sin()
    return noise.masked_fill(~mask.bool().unsqueeze(-1), 0.0)


def losses(run_dir: Path) -> list[tuple[int, str, float]]:
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    groups = ("train/", "dev/")
    return sorted(
        (line["step"], tag, value)
        for line in lines
        for tag, value in line.items()
        if tag.startswith(groups) and tag != "train/padding" and isinstance(value, float)
    )


def assert_same_numbers(mine: Path, theirs: Path) -> None:
    ours, others = losses(mine), losses(theirs)
    assert [entry[:2] for entry in ours] == [entry[:2] for entry in others]
    for (step, tag, value), (*_, other) in zip(ours, others, strict=True):
        # The parts of nearly orthogonal gradients cancel, so that their rounding remains.
        rounding = 1e-4 if "/cosine/" in tag else 1e-6
        assert value == pytest.approx(other, rel=1e-5, abs=rounding), (step, tag)


def by_torchrun(config: RunConfig, folder: Path) -> str:
    """Train in two processes as a user starts them; return what they print."""
    done = subprocess.run(
        command(config, folder, *TORCHRUN),
        env=environment() | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def by_forks(config: RunConfig, folder: Path) -> str:
    """The same with processes that need not import torch."""
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
    rendezvous = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    *_, flag, path = command(config, folder)
    line = [sys.executable, "-P", "-m", "mt_dnn.cli", "train", flag, path]
    with (folder / "log").open("wb") as log:
        started = [
            ForkedProcess(line, log, rendezvous | {"RANK": rank, "LOCAL_RANK": rank})
            for rank in ("0", "1")
        ]
        codes = [process.wait() for process in started]
    shown = (folder / "log").read_text()
    assert codes == [0, 0], shown
    return shown


@needs_gloo
@pytest.mark.parametrize(("smart", "train"), [("off", by_torchrun), ("smart", by_forks)])
def test_two_processes_compute_what_one_does(
    tiny_config,
    still_encoder_folder,
    workspace,
    tmp_path,
    monkeypatch,
    smart: str,
    train: Callable[[RunConfig, Path], str],
):
    """Batches of 5, 2 and 1 examples in two parts, two of them an update; words weigh by sentence.

    Without SMART the two are of different tasks, and their gradients are combined.
    """
    monkeypatch.syspath_prepend(tmp_path)
    data = copy_workspace(workspace, tmp_path / "rows", tasks=TASKS + WORDS_TASK)
    for split in ("train", "dev"):
        rows = [
            {"uid": f"w{i}", "tokens": WORDS[: 1 + i], "label": ["O"] * i + ["B-x"]}
            for i in range(11)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "rows" / f"words_{split}.jsonl").write_text(text)
    options = {
        "smart": smart,
        "data": data,
        "model": {"encoder": str(still_encoder_folder), "dropout": 0.0},
        "batch": {"size": 5, "accumulate": 2, "spread": smart == "off"},
        # A ranking head's bias has no gradient but rounding, which a small eps would blow up.
        "optim": {"eps": 1e-4, "combine": "sum" if smart == "smart" else "pcgrad"},
        "train": {"epochs": 1, "log_every": 2, "save_every": 3, "keep": 9, "report": False},
        "trackers": [],
        "system": {"device": "cpu", "threads": 1},
    }
    (tmp_path / "noise_plugin.py").write_text(NOISE)
    two = tiny_config(name="two", plugins=["noise_plugin"], **options)
    shown = train(two, tmp_path)
    run_dir = Path(two.output_dir) / "two"
    assert shown.count("Scores of the best model") == 1  # one process speaks
    assert json.loads((run_dir / "environment.json").read_text())["device"].startswith("2 x cpu")
    assert not list(run_dir.glob("**/*.partial"))

    monkeypatch.setattr(smoothness, "_noise", noise_of_examples)
    one = run(tiny_config(name="one", **options))
    assert_same_numbers(run_dir, one.run_dir)
    last = one.step
    names = ("model", "terms") if smart == "smart" else ("model",)
    for name in names:
        mine, theirs = checkpoint(run_dir, last, name), checkpoint(one.run_dir, last, name)
        assert mine.keys() == theirs.keys()
        for key, tensor in mine.items():
            torch.testing.assert_close(tensor, theirs[key], rtol=0, atol=1e-4)

    # One process resumes in the middle of a log interval of what two began.
    again = Path(two.output_dir) / "again"
    shutil.copytree(run_dir, again)
    for later in sorted((again / "checkpoints").iterdir())[1:]:
        shutil.rmtree(later)
    assert run(tiny_config(name="again", resume=True, **options)).step == last
    assert_same_numbers(again, one.run_dir)


@needs_gloo
def test_an_error_of_one_process_is_one_message_and_exit_code_2(tiny_config, tmp_path):
    (tmp_path / "bad_plugin.py").write_text(BAD_RANK)
    config = tiny_config(
        name="bad", plugins=["bad_plugin"], terms=[TermConfig(name="bad_rank")], trackers=[]
    )
    launcher = ["-m", "mt_dnn.cli", "launch", "--nproc_per_node", "2", "train"]
    done = subprocess.run(
        [sys.executable, *launcher, *command(config, tmp_path)[2:]],
        env=environment() | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stderr == "error: rank 1 has no disk\n"
    assert done.returncode == 2


def test_a_signal_saves_and_says_how_to_go_on(tiny_config, tmp_path):
    """SIGTERM; tests/integration/test_signals.py has Ctrl-C."""
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
                process.send_signal(signal.SIGTERM)
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
