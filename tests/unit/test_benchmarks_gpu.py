"""benchmarks/gpu.py: stages go on where they stopped, and the arithmetic of their figures is right."""

from __future__ import annotations

import argparse
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel

from benchmarks import gpu, gpu_cases, gpu_probes, gpu_products, gpu_stages
from data_utils.collator import Batch
from tests.support.encoders import tiny_encoder_folder


def test_a_stage_has_its_own_limit_or_the_usual_one():
    assert gpu.stage_and_limit("memory:40") == ("memory", 40)
    assert gpu.stage_and_limit("memory") == ("memory", gpu.STAGES["memory"])
    with pytest.raises(argparse.ArgumentTypeError, match="choose from cuda_tests, throughput"):
        gpu.stage_and_limit("memroy")


def test_every_stage_has_cases():
    assert gpu_cases.CASES.keys() == gpu.STAGES.keys()


def test_the_busy_time_is_the_length_of_the_union():
    assert gpu_probes.busy([(0, 2), (1, 3), (5, 6), (5.5, 5.7)]) == 4
    assert gpu_probes.busy([]) == 0


def test_matrix_products_are_counted_as_torch_counts_them(tmp_path):
    folder = str(tiny_encoder_folder(tmp_path / "encoder"))
    config = AutoConfig.from_pretrained(folder)
    model = AutoModel.from_config(config, attn_implementation="eager", add_pooling_layer=False)
    ids = torch.full((3, 7), 5)
    counter = FlopCounterMode(display=False)
    # From embeddings that need a gradient, as the first layer's do in training.
    with counter:
        model(ids).last_hidden_state.sum().backward()
    batch = Batch("t", ["0"] * 3, ids, torch.ones_like(ids))
    assert gpu_products.matrix_flops(batch, folder) == pytest.approx(counter.get_total_flops())


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Run the stage ``memory`` on cases of this test, as ``python -m benchmarks.gpu_stages`` does."""
    monkeypatch.setattr(gpu_stages, "write_base_encoder", lambda *args, **more: "base")
    monkeypatch.setattr(gpu_stages, "resolve_encoder", lambda name: name)

    def run(cases, seconds=60):
        monkeypatch.setitem(gpu_cases.CASES, "memory", lambda bench: cases)
        arguments = ["--device", "cpu", "--encoder", "x", "--seconds", str(seconds)]
        arguments += ["--out", str(tmp_path), "--scratch", str(tmp_path / "scratch")]
        monkeypatch.setattr(sys, "argv", ["gpu_stages", "memory", *arguments])
        gpu_stages.main()
        return gpu.load(tmp_path)["stages"].get("memory", {})

    return run


def test_cases_with_figures_are_not_run_again(stage):
    calls = []
    cases = {"one": lambda: calls.append(1) or {"a": 1}, "two": lambda: calls.append(2) or {"a": 2}}
    assert not stage(cases, seconds=0).get("complete")
    assert calls == []
    assert stage({"one": cases["one"]})["complete"]
    found = stage(cases)
    assert calls == [1, 2]
    assert found == {"cases": {"one": {"a": 1}, "two": {"a": 2}}, "complete": True}


def test_a_case_that_fails_leaves_its_error_and_the_next_one_runs(stage):
    def fail():
        raise RuntimeError("out of memory\nand more")

    found = stage({"one": fail, "two": lambda: {"a": 2}})
    assert found["cases"] == {"one": {"error": "RuntimeError: out of memory"}, "two": {"a": 2}}


def test_the_summary_has_a_table_a_stage():
    stages = {"memory": {"complete": True, "seconds": 3, "cases": {"x": {"MB": 1.23456, "n": 2}}}}
    text = gpu.summarize({"machine": "a GPU", "stages": stages})
    assert "a GPU" in text
    assert (
        "## memory (complete, 3 s)\n\n| case | MB | n |\n|---|---|---|\n| x | 1.235 | 2 |" in text
    )


def test_an_unfinished_case_goes_on_in_the_next_call(stage):
    calls = []

    def case():
        calls.append(1)
        return {"runs": len(calls)} | ({"unfinished": True} if len(calls) == 1 else {})

    assert "complete" not in stage({"a": case, "b": dict})
    found = stage({"a": case, "b": dict})
    assert found["complete"]
    assert found["cases"] == {"a": {"runs": 2}, "b": {}}
