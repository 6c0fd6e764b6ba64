"""The notebooks in examples/: executed on the tiny encoder, and committed with their outputs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot

from mt_dnn import RunConfig
from tests.support.documents import ROOT
from tests.support.workspace import TinyConfig

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture
def execute():
    """``execute("name.ipynb", settings)``: the names and figures after all cells but the settings."""

    def run(name: str, settings: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        first, *cells = code_cells(ROOT / "examples" / name)
        assert first["source"][0].startswith("# Settings")
        names = dict(settings)
        for number, cell in enumerate(cells, start=1):
            exec(compile("".join(cell["source"]), f"{name}, code cell {number}", "exec"), names)
        return names, [pyplot.figure(number) for number in pyplot.get_fignums()]

    backend = pyplot.get_backend()
    pyplot.switch_backend("agg")
    pyplot.close("all")
    yield run
    pyplot.close("all")
    pyplot.switch_backend(backend)


def test_one_step(execute, workspace, encoder_folder, capsys):
    rows = [
        {"premise": "a dog", "hypothesis": "a cat sat", "label": "same"},
        {"premise": "the king lived near a river", "hypothesis": "war", "label": "other"},
    ]
    settings = {
        "ENCODER": str(encoder_folder),
        "TASKS": str(workspace / "tasks.yml"),
        "TASK": "pair",
        "ROWS": rows,
        "LR": 1e-3,
    }
    names, figures = execute("one_step.ipynb", settings)
    assert len(names["losses"]) == names["UPDATES"]
    assert names["losses"][-1] < names["losses"][0]
    assert [*names["moved"]] == ["linf", "l2"]
    for lengths in names["moved"].values():
        assert lengths.shape == names["batch"].input_ids.shape
    (figure,) = figures
    assert [axis.get_title() for axis in figure.axes] == ["linf ball", "l2 ball"]
    printed = capsys.readouterr().out
    for tag in ("train/pair/loss", "smart/pair/gain", "linf  gain", "l2    gain"):
        assert tag in printed


def test_own_loop(execute, tiny_config: TinyConfig, capsys):
    # Within 6 epochs only one of the three tasks learns.
    config: RunConfig = tiny_config(smart="smart", train={"epochs": 12})
    names, figures = execute(
        "own_loop.ipynb", {"config": config, "ENCODER_LR": 1e-3, "HEAD_LR": 1e-3}
    )
    assert sum(map(len, names["history"].values())) == names["number"] == names["total"]
    for points in names["history"].values():
        losses, epoch = [loss for _, loss in points], len(points) // config.train.epochs
        assert sum(losses[-epoch:]) < sum(losses[:epoch])
    (figure,) = figures
    assert [axis.get_title() for axis in figure.axes] == ["pair", "score", "pick"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["pair", "score", "pick", "average"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_committed_outputs_are_complete_and_small(path):
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    pictures = [o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    assert pictures
    assert all(len(base64.b64decode(picture)) < 60_000 for picture in pictures)


def test_every_notebook_is_tested():
    assert [path.name for path in NOTEBOOKS] == ["one_step.ipynb", "own_loop.ipynb"]
