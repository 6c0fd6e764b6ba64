"""The public names: imported lazily, listed on a page, with examples that run."""

from __future__ import annotations

import ast
import doctest
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
import torch

import mt_dnn
from mt_dnn.config.run import DataConfig, OptimConfig, RunConfig, TrainConfig
from mt_dnn.training.trainer import Trainer
from tests.support.documents import ROOT, named
from tests.support.encoders import tiny_encoder_folder

TASKS = """\
rte:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [entailment, not_entailment]
  metric_meta: [ACC]
sst: {data_format: PremiseOnly, task_type: Classification, labels: [negative, positive], metric_meta: [ACC]}
"""
ROWS = {
    "rte": ["entailment\tA dog sleeps.\tAn animal sleeps.", "not_entailment\tIt rains.\tIt snows."],
    "sst": ["negative\ta boring film", "positive\ta wonderful film"],
}
PAGE = ROOT / "docs" / "api.md"


def stable(name: str) -> Any:
    """The object of a name on the page."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


# Of the stable classes and functions, and of their methods.
EXAMPLES = {
    example.name: example
    for value in map(stable, named(PAGE, "name"))
    if isinstance(value, type | FunctionType)
    for example in doctest.DocTestFinder().find(value, f"{value.__module__}.{value.__qualname__}")
    if example.examples
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder of the examples: an encoder, tasks.yml, rows in data/, the run runs/glue.

    A folder comes before the hub, so bert-base-uncased is the tiny encoder.
    """
    folder = tmp_path_factory.mktemp("reader")
    tiny_encoder_folder(folder / "bert-base-uncased")
    (folder / "tasks.yml").write_text(TASKS)
    (folder / "data").mkdir()
    for task, rows in ROWS.items():
        text = "".join(f"{i}\t{row}\n" for i, row in enumerate(4 * rows))
        for split in ("train", "dev"):
            (folder / "data" / f"{task}_{split}.tsv").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = RunConfig(
            name="glue",
            data=DataConfig(max_seq_len=128),
            optim=OptimConfig(lr=2e-3),
            train=TrainConfig(epochs=30, eval_every=100, save_every=0),
        )
        Trainer(config).fit()
        yield folder


class Printed(doctest.OutputChecker):
    """Does not compare output where an example shows none: training prints its progress."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return not want or super().check_output(want, got, optionflags)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_run(name, reader, monkeypatch):
    monkeypatch.chdir(reader)
    torch.manual_seed(0)
    report: list[str] = []
    EXAMPLES[name].globs = {}  # a reader's own imports, not those of the module
    runner = doctest.DocTestRunner(checker=Printed(), verbose=False)
    result = runner.run(EXAMPLES[name], out=report.append)
    assert result.attempted
    assert not result.failed, "".join(report)


def test_every_name_on_the_page_exists():
    for name in named(PAGE, "name"):
        assert stable(name) is not None, name


@pytest.mark.parametrize("name", mt_dnn.__all__)
def test_every_public_name_has_an_example(name):
    value = getattr(mt_dnn, name)
    assert f"{value.__module__}.{value.__name__}" in EXAMPLES


def test_the_names_are_loaded_at_their_first_use():
    """Listing them loads nothing either; and a name is the same object wherever it comes from."""
    code = (
        "import sys, mt_dnn\n"
        "assert set(mt_dnn.__all__) <= set(dir(mt_dnn))\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
        "from mt_dnn import RunConfig\n"
        "assert 'torch' not in sys.modules\n"
        "from mt_dnn import *\n"
        "assert 'torch' in sys.modules\n"
        "assert not {'sklearn', 'pandas', 'matplotlib', 'tensorboard', 'datasets'} & set(sys.modules)\n"
        "from mt_dnn.training import trainer\n"
        "assert Trainer is trainer.Trainer is mt_dnn.Trainer\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_type_checkers_see_every_public_name():
    tree = ast.parse((ROOT / "mt_dnn" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name: str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == mt_dnn._MODULES
    assert sorted(mt_dnn.__all__) == sorted(imported)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'mt_dnn' has no attribute 'Trianer'"):
        _ = mt_dnn.Trianer


def test_the_page_lists_the_public_names():
    shown = [name.removeprefix("mt_dnn.") for name in named(PAGE, "name") if name.count(".") == 1]
    assert sorted(shown) == sorted(mt_dnn.__all__)
