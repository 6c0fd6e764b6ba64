"""mt_dnn.tables with rows that start from other runs: MT-DNN's two stages in one command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

from mt_dnn.tables import command as table
from mt_dnn.tables.results import read_results

TABLE = """\
title: two stages
base:
  data:
    tasks: {workspace}/tasks.yml
    data_dir: {workspace}
    store_dir: {workspace}/store
    max_seq_len: 64
  model: {{encoder: {encoder}}}
  batch: {{size: 4, eval_size: 8}}
  optim: {{lr: 1.0e-3}}
  system: {{device: cpu}}
  train: {{predictions: false, save_every: 0, epochs: 1}}
seeds: [1]
columns:
  pair.ACC: {{use: [pair]}}
  score.Pearson: {{use: [score]}}
stages:
  mtl: {{use: [pair, score, pick]}}
rows:
  single: {{}}
  tuned: {{start: mtl}}
  held: {{start: mtl, optim.freeze: ["encoder.*"]}}
keep_models: false
"""


@pytest.fixture
def file(tmp_path: Path, workspace: Path, encoder_folder: Path) -> Path:
    path = tmp_path / "stages.yml"
    path.write_text(TABLE.format(workspace=workspace, encoder=encoder_folder))
    return path


def attempts(out: Path) -> list[str]:
    lines = (out / "attempts.jsonl").read_text().splitlines()
    return [json.loads(line)["run"] for line in lines]


def test_fine_tuning_starts_from_the_multi_task_run(
    forked: None, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    command = [str(file), "--out", str(out), "--threads", "1"]
    # With the models kept: what each run started from can be looked at.
    file.write_text(file.read_text().replace("keep_models: false", "keep_models: true"))
    assert table.main([*command, "--only", "tuned", "held"]) == 0
    done = attempts(out)
    (stage,) = [name for name in done if name.startswith("mtl-1-")]
    assert done[0] == stage, "before all that start from it, though --only does not name it"
    assert len(done) == 5
    weights = {
        name: load_file(out / "runs" / name / "best" / "model.safetensors")
        for name in (stage, "held-score-1", "tuned-score-1")
    }
    start, held, tuned = weights.values()
    assert all(start[name].equal(held[name]) for name in start)
    assert not all(start[name].equal(tuned[name]) for name in start)

    assert table.main(command) == 0
    assert attempts(out)[5:] == ["single-pair-1", "single-score-1"]


def test_a_stage_runs_again_only_where_its_model_is_needed(
    forked: None, file: Path, tmp_path: Path
) -> None:
    file.write_text(
        file.read_text().replace('  held: {start: mtl, optim.freeze: ["encoder.*"]}\n', "")
    )
    out = tmp_path / "out"
    command = [str(file), "--out", str(out), "--threads", "1", "--use", "pair", "score"]
    assert table.main(command) == 0
    (stage,) = [name for name in attempts(out) if name.startswith("mtl-")]
    assert not (out / "runs" / stage / "best").exists(), "keep_models: false, and nothing needs it"
    before = read_results(out)
    assert table.main(command) == 0
    assert attempts(out).count(stage) == 1

    lines = (out / "results.jsonl").read_text().splitlines(keepends=True)
    (out / "results.jsonl").write_text("".join(line for line in lines if "tuned-pair" not in line))
    shutil.rmtree(out / "runs" / "tuned-pair-1")
    assert table.main(command) == 0
    assert attempts(out)[-2:] == [stage, "tuned-pair-1"]
    after = read_results(out)
    assert {k: r["scores"] for k, r in after.items()} == {k: r["scores"] for k, r in before.items()}
    assert len((out / "results.jsonl").read_text().splitlines()) == len(lines)


def test_what_starts_from_a_failed_run_fails_with_it(
    forked: None, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = file.read_text().replace(
        "use: [pair, score, pick]}", "use: [pair, score], model.encoder: ./no}"
    )
    file.write_text(text)
    out = tmp_path / "out"
    assert table.main([str(file), "--out", str(out), "--threads", "1", "--only", "tuned"]) == 1
    shown = capsys.readouterr().out
    assert "FAILED tuned-pair-1: it starts from mtl-1-" in shown
    assert len(attempts(out)) == 1
