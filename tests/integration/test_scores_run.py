"""Whole runs: the scores of the best model on dev and test sets, and the best model of each task."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import mt_dnn
from mt_dnn.config.run import RunConfig
from mt_dnn.inference.evaluate import Evaluation
from mt_dnn.runs.model_folder import read_step, read_test_scores
from mt_dnn.runs.run_dir import task_folders
from mt_dnn.training import saving
from mt_dnn.training.task_best import TaskBest
from mt_dnn.training.trainer import Trainer
from tests.support.runs import assert_same_weights, copy_workspace, logged, predictions, run
from tests.support.workspace import TASKS

EVAL_ONLY = """\
other:
  extends: pair
  head: pair
  split_names: [dev, test]
"""
LIMIT = 4
Make = Callable[..., RunConfig]


@pytest.fixture(scope="module")
def make(config_in, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Six updates, three evaluations, two checkpoints; labelled test sets, a task without a train split."""
    folder = tmp_path_factory.mktemp("scores")
    data = copy_workspace(workspace, folder / "data", tasks=TASKS + EVAL_ONLY)
    dev = (folder / "data" / "pair_dev.tsv").read_text()
    for name in ("pair_test", "other_dev", "other_test"):
        (folder / "data" / f"{name}.tsv").write_text(dev)
    unlabelled = [
        line.split("\t") for line in (workspace / "score_dev.tsv").read_text().splitlines()
    ]
    text = "".join("\t".join([row[0], "", *row[2:]]) + "\n" for row in unlabelled)
    (folder / "data" / "score_test.tsv").write_text(text)

    def config(name: str, **changes: Any) -> RunConfig:
        train = {"max_steps": 6, "eval_every": 2, "save_every": 3, "keep": 9}
        return config_in(folder)(
            name=name,
            data=data | {"eval_limit": LIMIT},
            train=train | {"keep_best_per_task": True},
            trackers=(),
            **changes,
        )

    return config


@pytest.fixture(scope="module")
def whole(make) -> Trainer:
    return run(make("whole"))


def scores(trainer: Trainer) -> dict[str, Any]:
    return json.loads((trainer.run_dir / "scores.json").read_text())


def accuracy(records: list[dict[str, Any]]) -> float:
    return 100 * sum(r["gold"] == r["prediction"] for r in records) / len(records)


def test_final_scores_are_of_all_rows_of_dev_and_test_sets(whole):
    found = scores(whole)
    assert list(found["scores"]) == ["pair", "score", "pick", "other", "pair_test", "other_test"]
    assert found["test"] == ["pair_test", "other_test"]
    for name in ("pair", "other", "pair_test", "other_test"):
        records = predictions(whole, name)
        assert len(records) == 8
        assert found["scores"][name]["ACC"] == pytest.approx(accuracy(records))
        assert found["losses"][name] == pytest.approx(found["losses"]["pair"])  # the same rows
        assert found["baselines"][name]["ACC"] == 50.0
    assert len(predictions(whole, "score_test")) == 8, "unlabelled: predicted, not scored"


def test_a_set_of_an_untrained_task_does_not_select(whole):
    found = scores(whole)
    assert found["selected_on"] == ["pair", "score", "pick"]
    own = [found["scores"][name] for name in ("pair", "score", "pick")]
    values = [own[0]["ACC"], own[1]["Pearson"], own[2]["ACC"]]
    assert found["average"] == pytest.approx(sum(values) / 3)


def test_evaluations_during_training_see_the_limited_rows(whole):
    for value in logged(whole, "eval/pair/ACC").values():
        assert value % (100 / LIMIT) == 0
    assert list(logged(whole, "eval/pair/loss")) == [2, 4, 6]
    assert logged(whole, "test/pair_test/ACC") == {6: scores(whole)["scores"]["pair_test"]["ACC"]}
    assert "test/pair_test/loss" in json.loads(
        (whole.run_dir / "metrics.jsonl").read_text().splitlines()[-1]
    )


def test_the_model_folder_has_the_test_scores(whole):
    found = scores(whole)
    assert read_test_scores(whole.run_dir / "best")["pair_test"] == found["scores"]["pair_test"]
    card = (whole.run_dir / "best" / "README.md").read_text()
    assert f"pair_test | ACC | {found['scores']['pair_test']['ACC']:.2f}" in card
    assert card.index("dev score") < card.index("other | ACC") < card.index("test score")


def test_the_best_model_of_each_task_is_kept(whole):
    folders = {folder.name: folder for folder in task_folders(whole.run_dir)}
    assert sorted(folders) == ["best-other", "best-pair", "best-pick", "best-score"]
    for task, metric in (("pair", "ACC"), ("score", "Pearson"), ("pick", "ACC")):
        values = logged(whole, f"eval/{task}/{metric}")
        first = next(step for step, value in values.items() if value == max(values.values()))
        assert read_step(folders[f"best-{task}"]) == first
    assert mt_dnn.load(folders["best-pair"]).tasks.keys() == whole.model.tasks.keys()


def test_a_killed_run_ends_with_the_same_models_and_scores(make, whole, monkeypatch):
    """Killed when the second checkpoint was to be saved: the folders are already those of later updates."""

    def killed(trainer: Trainer) -> None:
        raise RuntimeError("killed")

    offer = TaskBest.offer

    def every_model(self: TaskBest, step: int, evaluations: Mapping[str, Evaluation]) -> list[str]:
        """Replace the folders at every evaluation; a record of the first one is that of the run itself."""
        if step == 2:
            return offer(self, step, evaluations)
        return list(self.records)

    config = make("killed")
    save = saving.save
    with monkeypatch.context() as patch:
        patch.setattr(
            saving, "save", lambda trainer: (save if trainer.step < 6 else killed)(trainer)
        )
        patch.setattr(TaskBest, "offer", every_model)
        with pytest.raises(RuntimeError, match="killed"):
            run(config)
    run_dir = whole.run_dir.with_name("killed")
    assert {read_step(folder) for folder in task_folders(run_dir)} == {6}
    resumed = Trainer(dataclasses.replace(config, resume=True))
    assert {read_step(folder) for folder in task_folders(run_dir)} == {2}, "the checkpoint's"
    assert set(resumed.task_best.steps().values()) == {2}
    resumed.fit()
    assert scores(resumed) == scores(whole)
    for folder in [whole.run_dir / "best", *task_folders(whole.run_dir)]:
        own = resumed.run_dir / folder.name
        assert read_step(own) == read_step(folder)
        for part in ("model.safetensors", "heads.safetensors"):
            assert_same_weights(load_file(own / part), load_file(folder / part))
    left = [path.name for path in (resumed.run_dir / "checkpoints").iterdir()]
    assert sorted(left) == ["step-00000003", "step-00000006"]


def test_replacing_a_run_removes_its_folders_and_no_copies(make, whole):
    copy = whole.run_dir / "best-pair-2"
    copy.mkdir()
    (copy / "mt_dnn.json").write_text((whole.run_dir / "best-pair" / "mt_dnn.json").read_text())
    Trainer(make("whole", overwrite=True)).close()
    assert task_folders(whole.run_dir) == []
    assert copy.exists()
