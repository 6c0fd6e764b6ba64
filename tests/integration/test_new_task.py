"""``mt-dnn new-task``: the files that it writes are read by a run."""

from __future__ import annotations

import json

import yaml

from mt_dnn.config.parser import parse_config
from mt_dnn.runs.prepare import prepare
from mt_dnn.task_types import load_tasks
from tests.support.new_task import new_task

CSV = "id,review,opinion,sentiment\n" + "".join(
    f'r{i},"film {i}, seen",{"xyz"[i % 3]},{"good" if i % 2 else "bad"}\n' for i in range(20)
)
CONLL = "".join(f"word{i} O\nof{i} B-PER\n\n" for i in range(12))


def test_one_file_is_divided_and_says_so(here, capsys):
    (here / "rows_train.csv").write_text(CSV)
    new_task("rows_train.csv")
    out = capsys.readouterr().out
    assert "no --dev file: 4 of 20 rows, drawn with seed 2018, by label" in out
    assert "Next: check both files, then mt-dnn train --config run.yml" in out
    (here / "rows_train.csv").unlink()  # the rows were written
    config = parse_config(["--config", "run.yml"])
    assert (config.name, config.seed, config.train.epochs) == ("rows", 2018, 10)
    data = prepare(config)
    assert (len(data.train["rows"]), len(data.dev["rows"])) == (16, 4)
    assert data.tasks["rows"].labels == ("bad", "good")
    row = json.loads((here / "data" / "rows_dev.jsonl").read_text().splitlines()[0])
    assert row.keys() == {"uid", "label", "premise"}
    assert row["uid"].startswith("r")


def test_every_value_of_the_files_has_a_reason(here):
    (here / "rows.csv").write_text(CSV)
    new_task("rows.csv")
    for name in ("tasks.yml", "run.yml"):
        lines = (here / name).read_text().splitlines()
        for before, line in zip(["", *lines], lines, strict=False):
            if ": " in line and not line.lstrip().startswith("#"):
                assert "    # " in line or before.lstrip().startswith("# "), line
    assert (here / "run.yml").read_text().count("UNSURE: 16 rows") == 1
    assert "Not used: opinion" in (here / "tasks.yml").read_text().replace("\n# ", " ")


def test_files_of_splits_are_read_where_they_are(here, capsys):
    (here / "raw").mkdir()
    for split in ("train", "dev"):
        (here / "raw" / f"{split}.conll").write_text(CONLL)
    new_task("raw/train.conll", "--dev", "raw/dev.conll", "--name", "people", "--out", "task")
    assert not list((here / "task" / "data").iterdir())
    assert "raw/dev.conll: 12 rows, read where they are" in capsys.readouterr().out
    entry = yaml.safe_load((here / "task" / "tasks.yml").read_text())["people"]
    assert entry["source"]["files"] == {
        "train": "../../raw/train.conll",
        "dev": "../../raw/dev.conll",
    }
    assert entry["source"]["columns"] == {"tokens": 1, "label": -1}
    data = prepare(parse_config(["--config", "task/run.yml"]))
    assert len(data.dev["people"]) == 12


def test_files_that_differ_are_written_alike(here):
    (here / "train.csv").write_text(CSV)
    (here / "dev.csv").write_text(CSV.replace(", seen", " seen").replace(",", ";"))
    (here / "test.jsonl").write_text('{"review": "a film"}\n')
    new_task("train.csv", "--dev", "dev.csv", "--test", "test.jsonl", "--name", "films")
    task = load_tasks("tasks.yml")["films"]
    assert task.source is None
    data = prepare(parse_config(["--config", "run.yml"]))
    assert (len(data.dev["films"]), len(data.test["films_test"])) == (20, 1)


def test_nothing_is_overwritten_unless_asked(here, command):
    (here / "rows.csv").write_text(CSV)
    (here / "tasks.yml").write_text("mine")
    code, _, err = command(lambda: new_task("rows.csv"))
    assert code == 2
    assert "tasks.yml exists already: replace it with --overwrite" in err
    assert (here / "tasks.yml").read_text() == "mine"
    assert not (here / "run.yml").exists()
    assert not (here / "data").exists()
    assert command(lambda: new_task("rows.csv", "--overwrite"))[0] == 0
    assert "rows:" in (here / "tasks.yml").read_text()


def test_a_few_rows_need_a_dev_file(here, command):
    (here / "rows.csv").write_text("text,label\na b,x\nc d,y\n")
    code, _, err = command(lambda: new_task("rows.csv"))
    assert (code, "no dev rows can be drawn from 2 rows" in err) == (2, True)
