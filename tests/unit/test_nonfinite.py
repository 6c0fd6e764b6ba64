"""A loss that is not finite is found at the next check, and its batch named."""

from __future__ import annotations

import json
import math

import pytest
import torch

from data_utils.collator import Batch
from data_utils.errors import UserError
from mt_dnn.training.nonfinite import NonFiniteDetector
from tests.support.batches import make_batch


def batch(task: str, *uids: str) -> Batch:
    return make_batch([3] * len(uids), task=task, uids=list(uids))


@pytest.fixture
def detector(tmp_path) -> NonFiniteDetector:
    return NonFiniteDetector(torch.device("cpu"), tmp_path, history=4)


def test_finite_losses_pass(detector, tmp_path):
    for step in range(20):
        detector.note(step, batch("a", str(step)), torch.tensor(float(step)))
    detector.check()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_bad_batch_is_named_however_many_follow(detector, tmp_path, bad):
    detector.note(6, batch("a", "a1"), torch.tensor(1.0))
    detector.note(7, batch("a", "a2"), torch.tensor(1.0))
    detector.note(7, batch("b", "b1", "b2"), torch.tensor(bad))  # the second batch of that update
    detector.note(8, batch("a", "a3"), torch.tensor(math.nan))
    with pytest.raises(UserError, match=r"loss or gradient of update 8 .* \(task b\)"):
        detector.check()
    record = json.loads((tmp_path / "nonfinite_batch.json").read_text())
    assert record == {"update": 8, "task": "b", "uids": ["b1", "b2"]}


def test_it_is_found_as_far_back_as_the_history_reaches(detector, tmp_path):
    detector.note(0, batch("a", "bad"), torch.tensor(math.nan))
    for step in range(1, 4):
        detector.note(step, batch("a", "good"), torch.tensor(0.0))
    with pytest.raises(UserError, match="update 1 "):
        detector.check()
    assert json.loads((tmp_path / "nonfinite_batch.json").read_text())["uids"] == ["bad"]
