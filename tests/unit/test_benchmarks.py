"""benchmarks/: each runs on a tiny encoder, and its arithmetic is right. No speed is asserted."""

from __future__ import annotations

import json
import os
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from benchmarks import common, memory, predict, prepare, smart_cost, throughput
from benchmarks.common import BenchmarkRow, Settings, compare, in_turn, isolated
from data_utils.errors import UserError
from tests.support.batches import make_batch
from tests.support.encoders import tiny_encoder_folder
from tests.support.words import WORDS


def write_split(path: Path, rows: int, rng: np.random.Generator) -> None:
    def text() -> str:
        return " ".join(rng.choice(WORDS, rng.integers(2, 20)))

    lines = [f"{i}\t{i % 2}\t{text()}\t{text()}\n" for i in range(rows)]
    path.write_text("".join(lines), encoding="utf-8")


class InstantHF:
    """Hugging Face's Trainer, without its process: 7 tokens in half a second."""

    def __init__(self, job) -> None:
        self.job = job
        self.tokens: list[float] = []

    def __enter__(self) -> InstantHF:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __call__(self, _: int) -> float:
        self.tokens.append(7.0)
        return 0.5


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    """Two updates a round on a tiny encoder, all in this process."""
    for module in (memory, predict, prepare, smart_cost, throughput):
        monkeypatch.setattr(module, "isolated", lambda function, *args: function(*args))
    monkeypatch.setattr(throughput, "HFProgram", InstantHF)
    rng = np.random.default_rng(0)
    write_split(tmp_path / "pairs_train.tsv", 21, rng)
    (tmp_path / "tasks.yml").write_text(
        "pairs:\n"
        "  {data_format: PremiseAndOneHypothesis, task_type: Classification, "
        'labels: ["0", "1"], metric_meta: [ACC]}\n'
    )
    return Settings(
        data_dir=str(tmp_path),
        tasks=str(tmp_path / "tasks.yml"),
        task="pairs",
        prepare_task="pairs",
        encoder=str(tiny_encoder_folder(tmp_path / "encoder")),
        batch_size=4,
        max_seq_len=32,
        precision="fp32",
        device="cpu",
        rounds=2,
        steps=2,
        out=str(tmp_path / "out" / "table.json"),
    )


def test_speed_is_work_per_second_and_its_ratio_is_taken_round_by_round():
    row = compare("a / b", "rows/s", [1.0, 2.0, 4.0], [2.0, 2.0, 2.0], work=[8.0, 8.0, 8.0])
    assert row.ratios == (2.0, 1.0, 0.5)
    assert (row.ours, row.reference, row.ratio) == (4.0, 4.0, 1.0)


def test_a_reference_may_have_done_other_work():
    row = compare("a / b", "tokens/s", [1.0], [2.0], work=[8.0], reference_work=[4.0])
    assert (row.ours, row.reference, row.ratio) == (8.0, 2.0, 4.0)


def test_programs_take_turns_from_another_one_on_and_the_first_round_does_not_count():
    calls = []

    def program(name):
        return lambda number: calls.append(name) or float(number)

    took = in_turn({name: program(name) for name in "abc"}, rounds=2)
    assert "".join(calls) == "abcbcacab"
    assert took == {"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [1.0, 2.0]}


def test_isolated_is_another_process():
    assert isolated(os.getpid) != os.getpid()


def test_unsorted_batches_have_the_same_examples_and_sizes():
    batches = [[0, 1, 2, 3], [4, 5], [6, 7, 8]]
    mixed = throughput.shuffle(batches, np.random.default_rng(1))
    assert [len(batch) for batch in mixed] == [4, 2, 3]
    assert sorted(chain(*mixed)) == list(range(9))
    assert mixed != batches


def test_padding_is_the_share_of_cells_without_a_token():
    assert throughput.padding([make_batch([2, 1]), make_batch([3], width=4)]) == 25.0  # 2 of 8


def test_trainer_and_bare_loop_train_on_the_same_batches(settings, tmp_path, monkeypatch):
    trained, given = [], []
    update, train = throughput.Trainer.update, throughput.BareLoop.train

    def spy_update(self, batches):
        trained.extend(batch.uids for batch in batches)
        update(self, batches)

    def spy_train(self, batches, *, precision):
        given.append([batch.uids for batch in batches])
        train(self, batches, precision=precision)

    monkeypatch.setattr(throughput.Trainer, "update", spy_update)
    monkeypatch.setattr(throughput.BareLoop, "train", spy_train)
    rows = throughput.measure(settings, tmp_path)
    # The order in a round rotates: (trainer, bare, unsorted), (bare, unsorted, trainer), ...
    grouped = [given[0], given[2], given[5]]
    assert [uids for batches in grouped for uids in batches] == trained
    assert len(trained) == 3 * settings.steps
    for same, mixed in ((0, 1), (2, 3), (5, 4)):
        assert sorted(chain(*given[same])) == sorted(chain(*given[mixed]))
    units = ["examples/s", "examples/s", "tokens/s", "tokens/s", "% of cells"]
    assert [row.unit for row in rows] == units
    assert all(len(row.ratios) == settings.rounds for row in rows[:4])
    assert [row.reference for row in rows[2:4]] == [14.0, 14.0]


@pytest.mark.parametrize(
    ("module", "units"),
    [
        (memory, ["MB"]),
        (prepare, ["rows/s", "rows/s", "MB"]),
        (predict, ["rows/s", "rows/s"]),
        (smart_cost, ["ms", "ms"]),
    ],
)
def test_the_others_run(module, units, settings, tmp_path):
    rows = module.measure(settings, tmp_path)
    assert [row.unit for row in rows] == units
    assert all(row.ours > 0 and row.reference > 0 for row in rows)


def test_programs_that_predict_differently_are_not_compared():
    same = {"ours": [("a", 0.9), ("b", 0.501)], "bare": [("a", 0.9), ("a", 0.5005)]}
    predict.check_same(same, 1e-3)
    with pytest.raises(AssertionError):
        predict.check_same(same | {"pipeline": [("a", 0.9), ("b", 0.6)]}, 1e-3)


def test_the_command_prints_one_table_and_writes_it(settings, tmp_path, monkeypatch, capsys):
    row = BenchmarkRow("this / that", "MB", 3.0, 2.0, ratios=(1.5,))
    flags = [f"--out={settings.out}", "--rounds=1"]
    monkeypatch.setattr(sys, "argv", ["benchmarks", *flags])
    monkeypatch.setattr(common, "isolated", lambda function, *args: function(*args))
    common.run([lambda settings, scratch: [row]] * 2, prog="benchmarks", description=None)
    printed = capsys.readouterr().out
    assert sum("this / that" in line for line in printed.splitlines()) == 2
    assert printed.count("| ours / reference") == 1
    found = json.loads((tmp_path / "out" / "table.json").read_text())
    assert [entry["ratio"] for entry in found["rows"]] == [1.5, 1.5]
    assert found["settings"]["rounds"] == 1
    assert (tmp_path / "out" / "table.md").read_text() == printed


def test_unknown_precision_and_missing_rows_are_told(settings, tmp_path):
    with pytest.raises(UserError, match="fp32, bf16"):
        Settings(precision="fp8").precisions()
    (tmp_path / "pairs_train.tsv").unlink()
    with pytest.raises(UserError, match="pairs_train"):
        prepare.measure(settings, tmp_path)
