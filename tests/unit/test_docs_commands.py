"""Every command and code block of the documents is accepted by the program that it is for."""

from __future__ import annotations

import re

import pytest
import yaml

from mt_dnn.config.parser import parse_config, settings
from mt_dnn.config.run import RunConfig
from mt_dnn.tables import file as table_file
from mt_dnn.tables.override import OVERRIDE_KEYS
from mt_dnn.tables.plan import plan
from mt_dnn.task_types import load_tasks
from tests.support.documents import (
    COMMANDS,
    DOCUMENTS,
    ROOT,
    blocks,
    command_lines,
    name_of,
    parse_command,
)

LINES = list(dict.fromkeys(line for document in DOCUMENTS for line in command_lines(document)))
YAML_BLOCKS = [
    (name_of(document), block) for document in DOCUMENTS for block in blocks(document, "yaml")
]
PYTHON_BLOCKS = [
    (name_of(document), block) for document in DOCUMENTS for block in blocks(document, "python")
]
ENTRY = {
    "data_format": "PremiseAndOneHypothesis",
    "task_type": "Classification",
    "labels": ["entailment", "not_entailment"],
    "metric_meta": ["ACC"],
}
"""The keys that a block leaves out where it shows others."""
TABLE = {
    "base": {"data.data_dir": "data"},
    "seeds": [1],
    "rows": {"baseline": {}, "smart": {"smart": "smart"}},
    "columns": {"rte.ACC": {"use": ["rte"]}, "mrpc.F1": {"use": ["mrpc"]}},
}
"""The keys that a block of a table file leaves out."""


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder from which the commands find the files that they name: a checkout and the reader's own."""
    for name in ("experiments", "tests", "train.py", "requirements.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    for path in ("run.yml", "runs/demo/config.yml"):
        (tmp_path / path).write_text("name: mine\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", LINES)
def test_a_command_parses(line, reader, monkeypatch):
    parsed = parse_command(line, monkeypatch)
    if parsed and isinstance(getattr(parsed.values, "data", None), type(RunConfig().data)):
        assert parsed.values.name != RunConfig().name
    for path in re.findall(r"(?:experiments|tests)/[\w./-]*\w", line):
        assert (reader / path).exists() or "/results" in path, path


def test_every_command_of_mt_dnn_is_shown():
    shown = {line.split()[1] for line in LINES if line.startswith("mt-dnn ")}
    assert shown == set(COMMANDS)


def test_a_wrong_flag_is_found(reader, monkeypatch):
    for line in (
        "mt-dnn train --config run.yml --optim.rate 1",
        "mt-dnn predict --run runs/demo --tusk rte",
        "mt-dnn table t.yml --row smart",
        "python -m experiments.glue.prepare --source hub --into data",
    ):
        with pytest.raises(SystemExit):
            parse_command(line, monkeypatch)


def test_every_make_target_exists():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {
        match
        for document in DOCUMENTS
        for match in re.findall(r"(?:`|^)make (\w+)", document.read_text(), re.MULTILINE)
    }
    assert "demo" in shown
    assert shown <= targets


@pytest.mark.parametrize(
    ("document", "block"), YAML_BLOCKS, ids=[f"{name}-{text[:12]}" for name, text in YAML_BLOCKS]
)
def test_a_yaml_block_is_a_run_a_task_file_or_a_table(document, block, tmp_path):
    keys = yaml.safe_load(block)
    path = tmp_path / "block.yml"
    if "settings" in keys and keys.keys() <= set(OVERRIDE_KEYS):
        path.write_text(block)
        table = table_file.load_table(ROOT / "experiments/smart/table3.yml", override=path)
        assert keys["sizes"].items() <= table.sizes.items()
        assert list(table.seeds) == keys["seeds"]
        return
    if keys.keys() <= set(table_file.KEYS):
        path.write_text(yaml.safe_dump(TABLE | keys))
        assert plan(table_file.load_table(path))
        return
    if keys.keys() <= RunConfig.__dataclass_fields__.keys():
        path.write_text(re.sub(r"(?m)^plugins: .*\n", "", block))  # a reader's own module
        assert parse_config(["--config", str(path)]).name == keys["name"]
        return
    for entry in keys.values():
        if entry.get("labels") == "auto":  # the reader's rows are not here
            entry["labels"] = ["a", "b"]
    if re.search(r"# \.\.\. ", block):
        keys = {name: ENTRY | entry for name, entry in keys.items()}
    path.write_text(yaml.safe_dump(keys))
    tasks = load_tasks(path)
    assert list(tasks) == list(keys)
    for name, entry in keys.items():
        source = tasks[name].source
        assert (source is not None) == ("source" in entry)


@pytest.mark.parametrize(
    ("document", "block"),
    PYTHON_BLOCKS,
    ids=[f"{name}-{i}" for i, (name, _) in enumerate(PYTHON_BLOCKS)],
)
def test_a_python_block_compiles(document, block):
    compile(block, document, "exec")


SETTINGS = {name for name, _ in settings()}
SUFFIXES = ("py", "json", "jsonl", "tsv", "csv", "conll", "txt", "50k")
"""Of files: train.py is not a setting."""
SECTIONS = {name.partition(".")[0] for name in SETTINGS if "." in name}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_setting_in_the_prose_exists(document):
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    shown = re.findall(rf"`(?:--)?((?:{'|'.join(SECTIONS)})\.\w+)(?=[ `])", text)
    shown = {name for name in shown if name.partition(".")[2] not in SUFFIXES}
    assert shown <= SETTINGS
