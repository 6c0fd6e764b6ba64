"""Divergences and SAN against tests/reference, in float64; the reference stands alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from mt_dnn.heads.san import SANHead
from tests.reference import divergences, san
from tests.support.batches import make_batch
from tests.support.float64 import (
    l_s,
    same,
)

REFERENCE = Path(__file__).parents[1] / "reference"


def test_the_reference_imports_nothing_of_the_packages():
    allowed = {"__future__", "collections", "dataclasses", "numpy", "re", "string", "torch"}
    files = sorted(REFERENCE.glob("*.py"))
    assert len(files) >= 10
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed, path
            elif isinstance(node, ast.ImportFrom):
                assert str(node.module).split(".")[0] in allowed, path


@pytest.mark.parametrize("name", ["symmetric_kl", "kl", "js", "hellinger", "squared_error"])
@pytest.mark.parametrize(
    "task_type",
    ["Classification", "Ranking", "HNN", "SequenceLabeling", "Span", "MaskLM", "MultiLabel"],
)
def test_every_divergence_of_a_type(build, task_type, name):
    if task_type == "MultiLabel" and name != "squared_error":
        name = f"bernoulli_{name}"
    model, batch = build(task_type, train=False)
    p = model(batch).detach()
    q = p + torch.randn(p.shape, generator=torch.Generator().manual_seed(1), dtype=p.dtype)
    p, q = p.requires_grad_(), q.requires_grad_()
    found = model.task_types["t"].divergence(p, q, batch, name=name)
    if name == "squared_error" and task_type == "MultiLabel":
        expected = divergences.classes(name, p, q).mean()
    else:
        expected = l_s(task_type, batch, name)(p, q).mean()
    assert same(found, expected, 1e-12)
    for one, other in zip(
        torch.autograd.grad(found, [p, q]), torch.autograd.grad(expected, [p, q]), strict=True
    ):
        assert same(one, other, 1e-11)


@pytest.mark.parametrize("n_out", [3, 1])
@pytest.mark.parametrize("steps", [1, 4])
def test_the_stochastic_answer_network(n_out, steps):
    torch.manual_seed(0)
    head = SANHead(6, n_out, steps=steps).double().eval()
    with torch.no_grad():
        for p in head.parameters():
            p.normal_(0, 0.5)
    batch = make_batch([6, 4], first=[3, 2])
    hidden = torch.randn(2, 6, 6, dtype=torch.float64)
    found = head(hidden, batch)
    for row, (split, length) in enumerate([(3, 6), (2, 4)]):
        own = list(hidden[row])
        expected = san.predict(own[:split], own[split:length], dict(head.named_parameters()), steps)
        value = found[row] if n_out == 1 else found[row].exp()
        assert same(value, expected, 1e-12)
