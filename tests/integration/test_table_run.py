"""mt_dnn.tables: a 2x2 table over two seeds, stopped twice, against one that was not."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mt_dnn.tables import command as table
from mt_dnn.tables import runs as table_runs
from mt_dnn.tables.results import read_results

TABLE = """\
title: tiny
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
  train: {{predictions: false, save_every: 2}}
sizes: {{train.epochs: 1}}
seeds: [1, 2]
columns:
  pair.ACC: {{use: [pair, score]}}
  score.Pearson: {{use: [pair, score]}}
rows:
  baseline: {{}}
  smart: {{smart: smart, smoothness.epsilon: 1e-2}}
keep_models: false
"""


@pytest.fixture
def file(tmp_path: Path, workspace: Path, encoder_folder: Path) -> Path:
    path = tmp_path / "tiny.yml"
    path.write_text(TABLE.format(workspace=workspace, encoder=encoder_folder))
    return path


def interrupt_when(happened: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the first look at the runs at which ``happened()``."""
    pause = table_runs.time.sleep
    sent: list[bool] = []

    def sleep(seconds: float) -> None:
        if not sent and happened():
            sent.append(True)
            os.kill(os.getpid(), signal.SIGINT)
        pause(0.01)

    monkeypatch.setattr(table_runs.time, "sleep", sleep)


def cells(out: Path) -> dict[str, Any]:
    keys = ("row", "use", "seed", "scores", "step", "config", "data")
    return {key: {k: r[k] for k in keys} for key, r in read_results(out).items()}


def attempts(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "attempts.jsonl").read_text().splitlines()]


def test_a_table_stopped_twice_and_finished_equals_one_that_was_not(
    forked: None,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert table.main([str(file), "--out", str(whole), "--threads", "1"]) == 0
    command = [str(file), "--out", str(stopped), "--threads", "1"]

    def has_checkpoint(name: str) -> Callable[[], bool]:
        return lambda: any((stopped / "runs" / name).glob("checkpoints/step-*[0-9]"))

    names = [f"{row}-pair+score-{seed}" for seed in (1, 2) for row in ("baseline", "smart")]
    for name in (names[1], names[2]):
        with monkeypatch.context() as patch:
            interrupt_when(has_checkpoint(name), patch)
            with pytest.raises(KeyboardInterrupt, match="same command"):
                table.main(command)
    assert 0 < len(cells(stopped)) < 4
    capsys.readouterr()
    assert table.main(command) == 0
    shown = capsys.readouterr().out

    assert len(cells(whole)) == 4
    assert cells(stopped) == cells(whole)
    logs = "".join((stopped / "logs" / f"{name}.log").read_text() for name in names)
    assert logs.count("resumed from") == 2, "a stopped run goes on from its checkpoint"
    finished = [a["run"] for a in attempts(stopped) if a["exit"] == 0]
    assert sorted(finished) == sorted(names), "a finished run is not run again"
    assert "4 runs, " in shown
    overviews = [(out / "tiny.csv").read_text() for out in (whole, stopped)]
    assert overviews[0] == overviews[1]
    run_dir = stopped / "runs" / names[0]
    assert (run_dir / "scores.json").exists()
    assert not (run_dir / "checkpoints").exists()
    assert not (run_dir / "best").exists(), "keep_models: false"

    before = attempts(stopped)
    shutil.rmtree(stopped / "runs")
    assert table.main(command) == 0
    assert attempts(stopped) == before, "results.jsonl alone says what is finished"
    assert len((stopped / "results.jsonl").read_text().splitlines()) == 4


def test_a_failed_run_is_named_and_the_others_go_on(
    forked: None, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two at once, one of them with an encoder that is not there."""
    text = file.read_text().replace("smart: {smart: smart", "broken: {model.encoder: ./nowhere")
    text = text.replace(", smoothness.epsilon: 1e-2", "").replace("[1, 2]", "[1]")
    file.write_text(text)
    out = tmp_path / "out"
    command = [str(file), "--out", str(out), "--jobs", "2", "--threads", "1"]
    assert table.main(command) == 1
    shown = capsys.readouterr().out
    assert "FAILED broken-pair+score-1" in shown
    assert f"{out}/logs/broken-pair+score-1.log" in shown
    assert [r["row"] for r in read_results(out).values()] == ["baseline"]
    line = next(s for s in (out / "tiny.md").read_text().splitlines() if "| broken" in s)
    assert set(line.replace(" ", "").strip("|").split("|")[1:]) == {"—"}


def test_two_shares_of_a_search_merge_into_one_table(
    forked: None, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "rows:\n  found: {search: {optim.lr: [1.0e-9, 1.0e-3]}}\n"
    file.write_text(re.sub(r"(?s)rows:.*", rows, file.read_text()).replace("[1, 2]", "[1]"))
    outs = [tmp_path / "a", tmp_path / "b"]
    for number, out in enumerate(outs, start=1):
        shard = ["--shard", f"{number}/2", "--threads", "1"]
        assert table.main([str(file), "--out", str(out), *shard]) == 0
        assert len(read_results(out)) == 1
        assert not list(out.glob("tiny*"))
    merged = str(next(outs[1].glob("results-*.jsonl")))
    line = [str(file), "--out", str(outs[0]), "--render_only", "--merge", merged]
    assert table.main(line) == 0
    assert "1 results added" in capsys.readouterr().out
    averages = {}
    for out in outs:
        for run_dir in (out / "runs").iterdir():
            lr = yaml.safe_load((run_dir / "config.yml").read_text())["optim"]["lr"]
            averages[lr] = json.loads((run_dir / "scores.json").read_text())["average"]
    assert len(averages) == 2
    best = max(averages, key=averages.__getitem__)
    page = (outs[0] / "tiny.md").read_text()
    chosen = f"Chosen: pair + score: optim.lr {best:g} (dev {averages[best]:.2f})"
    assert f"{chosen}, 2 trials." in page.replace("−", "-")
    assert "| found | 1/1 |" in page


def test_a_run_that_another_process_is_at_is_left_to_it(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "logs").mkdir(parents=True)
    with (out / "logs" / "baseline-pair+score-1.log").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(table.UserError, match=r"baseline-pair\+score-1 is being executed"):
            table.main([str(file), "--out", str(out)])
