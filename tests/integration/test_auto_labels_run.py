"""A run with ``labels: auto``: what is saved, and what a changed label set does."""

from __future__ import annotations

import json

import pytest
import yaml

from data_utils.errors import UserError
from mt_dnn import RunConfig, Trainer, load, prepare
from mt_dnn.config.run import BatchConfig, DataConfig, ModelConfig, TrainConfig
from tests.support.encoders import tiny_encoder_folder

CSV = "text,mood\n" + "".join(
    f'"word {i}, and more",{"good" if i % 3 else "bad"}\n' for i in range(9)
)
TASK = """\
t:
  data_format: PremiseOnly
  task_type: Classification
  labels: auto
  metric_meta: [ACC]
  source:
    files: {train: rows.csv, dev: dev.csv}
    columns: {premise: text, label: mood}
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "rows.csv").write_text(CSV + "last,odd\n")
    (tmp_path / "dev.csv").write_text(CSV)
    (tmp_path / "tasks.yml").write_text(TASK)
    tiny_encoder_folder(tmp_path / "encoder")
    return RunConfig(
        name="auto",
        output_dir=str(tmp_path / "runs"),
        trackers=(),
        data=DataConfig(
            tasks=str(tmp_path / "tasks.yml"), data_dir=str(tmp_path), max_seq_len=32, train_limit=4
        ),
        model=ModelConfig(encoder=str(tmp_path / "encoder")),
        batch=BatchConfig(size=4),
        train=TrainConfig(epochs=1),
    )


def test_run_and_model_folder_hold_the_labels(config, tmp_path):
    Trainer(config).fit()
    run = tmp_path / "runs" / "auto"
    for path in (run / "tasks.yml", run / "best" / "tasks.yml"):
        assert yaml.safe_load(path.read_text())["t"]["labels"] == ["bad", "good", "odd"]
    (tmp_path / "rows.csv").unlink()  # the model needs no rows
    (answer,) = load(run).predict("t", ["word 1"])
    assert set(answer.scores) == {"bad", "good", "odd"}


def test_a_changed_label_set_is_noticed(config, tmp_path):
    prepare(config)
    (manifest,) = tmp_path.glob("store/*/t_dev/manifest.json")
    assert json.loads(manifest.read_text())["labels"] == ["bad", "good", "odd"]
    (tmp_path / "rows.csv").write_text(CSV)
    (tmp_path / "dev.csv").write_text(CSV + "last,new\n")
    with pytest.raises(UserError, match=r"labels: the store has .*'odd'.*this run has"):
        prepare(config)


def test_a_label_that_train_lacks_is_named_with_its_line(config, tmp_path):
    (tmp_path / "dev.csv").write_text(CSV + "last,baad\n")
    with pytest.raises(
        UserError,
        match=r"dev\.csv:11: label 'baad' is not a label of task 't' \(labels: auto takes those of the "
        r"train split\)\. Did you mean 'bad'",
    ):
        prepare(config)
