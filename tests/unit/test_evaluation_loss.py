"""The dev loss: the mean supervised loss over labelled units, whatever the batches."""

from __future__ import annotations

import math

import pytest
import torch

from data_utils.encoded_rows import EncodedRows
from mt_dnn.inference.evaluate import evaluate
from mt_dnn.inference.losses import NOTHING, mean_loss
from mt_dnn.model import MTDNN
from mt_dnn.runs.prepare import prepare


@pytest.fixture
def dev(tiny_config):
    return prepare(tiny_config()).dev


@pytest.fixture
def model(workspace, encoder_folder):
    torch.manual_seed(3)
    return MTDNN.from_pretrained(encoder_folder, workspace / "tasks.yml")


@pytest.mark.parametrize("name", ["pair", "score", "pick"])
def test_the_loss_is_that_of_one_batch_whatever_the_batch_size(model, dev, name):
    batch = EncodedRows.from_store(dev[name]).batch(range(len(dev[name])))
    with torch.inference_mode():
        expected = float(model.task_types[name].loss(model(batch), batch))
    for size in (3, 8):
        found = evaluate(model, dev[name], batch_size=size).loss
        assert found == pytest.approx(expected, rel=1e-5)


def test_batches_without_labelled_units_do_not_count():
    assert mean_loss([(6.0, 3.0), NOTHING, (1.0, 4.0)]) == pytest.approx(1.0)
    assert mean_loss([NOTHING]) is None
    assert mean_loss([(math.inf, 1.0)]) is None
