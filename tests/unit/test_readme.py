"""What the documents tell a reader to type exists, and means what they say."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from data_utils.formats import FORMATS
from data_utils.mixing import MIXINGS
from mt_dnn.config.parser import parse_config
from mt_dnn.config.smart import PRESETS
from mt_dnn.task_types import TASK_TYPES, load_tasks
from tests.tiny import tiny_encoder_folder

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "experiments").glob("*/README.md"))]


def shell_lines(document: Path) -> list[str]:
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


RUNS = [
    (document.parent.name, line)
    for document in DOCUMENTS
    for line in shell_lines(document)
    if re.search(r"\b(train|prepro)\.py ", line)
]


@pytest.mark.parametrize(("where", "line"), RUNS, ids=[line for _, line in RUNS])
def test_every_run_that_a_document_shows_parses(where, line, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    args = shlex.split(line)
    args = args[next(i for i, arg in enumerate(args) if arg.endswith(".py")) + 1 :]
    (tmp_path / "run.yml").write_text("name: mine\n")  # the reader's own
    config = parse_config([str(tmp_path / "run.yml") if arg == "run.yml" else arg for arg in args])
    assert config.name != "run"


def test_there_are_runs_to_parse():
    assert len(RUNS) >= 8


def test_every_module_that_a_document_runs_exists():
    modules = [
        match
        for document in DOCUMENTS
        for line in shell_lines(document)
        for match in re.findall(r"python -m ([\w.]+)", line)
    ]
    assert modules
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_every_make_target_exists():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        match
        for document in DOCUMENTS
        for match in re.findall(r"(?:`|^)make (\w+)", document.read_text(), re.MULTILINE)
    }
    assert "demo" in named
    assert named <= targets


def test_the_readmes_own_task_is_trained_and_asked_by_its_two_commands(tmp_path):
    """As a reader would, in a folder of theirs; their bert-base-uncased is a tiny one."""
    readme = DOCUMENTS[0].read_text()
    section = readme[readme.index("## Add your own task") :]
    rows, entry, commands = (
        re.search(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[1]
        for language in ("tsv", "yaml", "sh")
    )
    (tmp_path / "data").mkdir()
    for split in ("train", "dev"):
        (tmp_path / "data" / f"mytask_{split}.tsv").write_text(rows)
    (tmp_path / "tasks.yml").write_text(entry)
    tiny_encoder_folder(tmp_path / "bert-base-uncased")
    for name in ("train.py", "predict.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    first, second = commands.splitlines()
    for line in (first, second):
        program, *arguments = shlex.split(line)
        assert program == "python"
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    answers = [json.loads(answer) for answer in done.stdout.splitlines()]
    assert [answer["uid"] for answer in answers] == ["1", "2"]
    assert {answer["prediction"] for answer in answers} <= {"entailment", "not_entailment"}
    assert "mytask: ACC" in done.stderr


def test_the_task_of_the_readme_is_a_task(tmp_path):
    block = re.search(
        r"^```yaml\n(mytask:.*?)^```", DOCUMENTS[0].read_text(), re.MULTILINE | re.DOTALL
    )
    assert block is not None
    (tmp_path / "tasks.yml").write_text(block[1])
    assert load_tasks(tmp_path / "tasks.yml")["mytask"].labels == ("entailment", "not_entailment")


def test_the_source_of_the_readme_is_a_source(tmp_path):
    block = re.search(
        r"^```yaml\n(rte:.*?)^```", DOCUMENTS[0].read_text(), re.MULTILINE | re.DOTALL
    )
    assert block is not None
    entry = yaml.safe_load(block[1])["rte"] | {
        "data_format": "PremiseAndOneHypothesis",
        "task_type": "Classification",
        "labels": ["entailment", "not_entailment"],
        "metric_meta": ["ACC"],
    }
    (tmp_path / "tasks.yml").write_text(yaml.safe_dump({"rte": entry}))
    source = load_tasks(tmp_path / "tasks.yml")["rte"].source
    assert source is not None
    assert source.columns == {"premise": "sentence1", "hypothesis": "sentence2"}


@pytest.mark.parametrize("names", [MIXINGS.names(), PRESETS, FORMATS.names(), TASK_TYPES.names()])
def test_the_tables_name_every_choice(names):
    text = DOCUMENTS[0].read_text()
    assert [name for name in names if f"`{name}`" not in text] == []
