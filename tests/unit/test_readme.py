"""The README's task, commands and Python code work as they are printed."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tests.support.documents import PAGES, README, ROOT, blocks, run_command, table
from tests.support.encoders import tiny_encoder_folder


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder with rows like the README's; its bert-base-uncased is a tiny one."""
    (header, *rows) = blocks(README, "csv")[0].splitlines()
    more = [row.replace(".,", f" {i}.,") for i in range(6) for row in rows]
    (tmp_path / "rows.csv").write_text("\n".join([header, *more]) + "\n")
    tiny_encoder_folder(tmp_path / "bert-base-uncased")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def task(reader, monkeypatch):
    """The same folder after the README's first command."""
    run_command(task_commands()[0], monkeypatch)
    return reader


def task_commands() -> list[str]:
    text = README.read_text(encoding="utf-8")
    section = text[text.index("## Add a task") : text.index("## From Python")]
    (commands,) = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return commands.splitlines()


def test_the_task_is_written_trained_and_predicts_by_its_commands(
    reader, capsys, monkeypatch, no_pictures
):
    lines = task_commands()
    assert len(lines) == 3
    for line in lines:
        capsys.readouterr()
        run_command(line, monkeypatch)
    printed = capsys.readouterr()
    answers = [json.loads(answer) for answer in printed.out.splitlines()]
    assert len(answers) == 2
    assert {answer["prediction"] for answer in answers} <= {"entailment", "not_entailment"}
    assert "mytask: ACC" in printed.err
    entry = yaml.safe_load((reader / "tasks.yml").read_text())
    assert entry == yaml.safe_load(blocks(README, "yaml")[0])


def test_the_twelve_lines_of_python_run(task, capsys, no_pictures):
    (code,) = blocks(README, "python")
    assert len(code.splitlines()) <= 12
    exec(compile(code, "README.md", "exec"), {})
    *_, label, shape = capsys.readouterr().out.splitlines()
    assert re.match(r"(not_)?entailment \{'entailment': 0\.\d+, 'not_entailment': 0\.\d+\}", label)
    assert shape == "(2, 32)"


def test_the_pages_train_from_python(task, capsys, no_pictures):
    (page,) = (page for page in PAGES if page.name == "python.md")
    code = blocks(page, "python")[1]
    exec(compile(code, page.name, "exec"), {})
    assert re.search(r"\{'mytask': \{'ACC': .*\} \d+$", capsys.readouterr().out.strip())
    assert (task / "runs" / "mytask" / "best").is_dir()


def test_the_pages_own_loop_runs(task, capsys):
    (page,) = (page for page in PAGES if page.name == "python.md")
    names: dict = {}
    for code in blocks(page, "python")[2:]:
        exec(compile(code, page.name, "exec"), names)
    assert re.search(r"^mytask \{'ACC': ", capsys.readouterr().out, re.MULTILINE)
    assert names["step"] == names["total"] == 3
    assert names["logits"].shape == (1, 2)


def test_the_first_task_page_has_the_readmes_task():
    (page,) = (page for page in PAGES if page.name == "first-task.md")
    for language in ("csv", "yaml"):
        assert blocks(page, language)[0] == blocks(README, language)[0]
    rows = [line.split("\t") for line in blocks(page, "tsv")[0].splitlines()]
    shown = [line.split(",") for line in blocks(page, "csv")[0].splitlines()[1:]]
    assert [row[1:] for row in rows] == shown
    row = json.loads(blocks(page, "json")[0])
    assert list(row.values()) == rows[0]


def test_the_table_has_the_measured_numbers():
    measured: dict[str, list[str]] = {}
    for cells in table(ROOT / "experiments/smart/results/study2.md", ""):
        if len(cells) == 7:  # the table of one column, in the order of the columns
            measured.setdefault(cells[0], []).append(cells[3])
    for name, *ours in table(README, "row"):
        row = name.split("`")[1]
        assert ours == measured[row][:2]
