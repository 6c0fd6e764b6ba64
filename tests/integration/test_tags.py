"""docs/tags.md lists every tag that a run writes, and no other."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from mt_dnn.config.run import TermConfig
from mt_dnn.objective.step import Step
from mt_dnn.objective.terms import LossTerm
from mt_dnn.registries import LOSS_TERMS
from mt_dnn.training.trainer import Trainer
from tests.support.documents import ROOT, named
from tests.support.runs import copy_workspace, run
from tests.support.workspace import TRAIN_ROWS

PLACEHOLDERS = {
    "task": ("pair", "score", "pick"),
    "dataset": ("pair", "score", "pick", "pair_test"),
    "metric": ("ACC", "CMAT", "Pearson"),
    "class": ("other", "right"),
    "group": ("encoder", "heads"),
    "term": ("size",),
    "figure": ("length",),
}
"""What the placeholders of the page stand for in the run."""


class Size(LossTerm):
    """A term of the user's."""

    tag = "size"

    def compute(self, step: Step) -> Tensor:
        step.note("length", step.hidden.shape[1])
        return step.hidden.square().mean()


def everything_on(tiny_config, workspace: Path, folder: Path) -> Trainer:
    """A run with SMART, its balance, distillation, a term of the user's, rates of groups, cosines, a test set."""
    data = copy_workspace(workspace, folder)
    shutil.copy(folder / "pair_dev.tsv", folder / "pair_test.tsv")
    soft = folder / "soft"
    soft.mkdir()
    with (soft / "pair_train.jsonl").open("w") as stream:
        for i in range(TRAIN_ROWS["pair"]):
            stream.write(json.dumps({"uid": f"pair-{i}", "logits": [1.0, -1.0]}) + "\n")
    LOSS_TERMS.register("size")(Size)
    return run(
        tiny_config(
            data=data,
            smart="smart",
            smoothness={"balance": 0.1, "balance_every": 2},
            distill={"soft_labels": str(soft), "weight": 0.5},
            terms=[TermConfig("size", weight=0.01)],
            optim={"head_lr": 0.01},
            batch={"accumulate": 2, "spread": True},
            train={"epochs": 1, "log_every": 2, "gradient_cosines": True},
        )
    )


def written(trainer: Trainer) -> set[str]:
    """The tags in the files of a run."""
    tags: set[str] = set()
    for name in ("metrics.jsonl", "timing.jsonl"):
        for line in (trainer.run_dir / name).read_text().splitlines():
            tags |= json.loads(line).keys() - {"step"}
    board = EventAccumulator(str(trainer.run_dir))
    board.Reload()
    found = board.Tags()
    return tags.union(found["scalars"], found["images"], found["tensors"])


def test_the_page_lists_every_tag_of_a_run_and_no_other(
    tiny_config, workspace, tmp_path, registries
):
    tags = written(everything_on(tiny_config, workspace, tmp_path / "data"))
    page = named(ROOT / "docs" / "tags.md", "tag")
    assert len(page) == len(set(page))

    def matches(entry: str, tag: str) -> bool:
        expression = re.sub(r"<(\w+)>", lambda m: f"({'|'.join(PLACEHOLDERS[m[1]])})", entry)
        return re.fullmatch(expression, tag) is not None

    assert {tag for tag in tags if not any(matches(entry, tag) for entry in page)} == set()
    assert {entry for entry in page if not any(matches(entry, tag) for tag in tags)} == set()
