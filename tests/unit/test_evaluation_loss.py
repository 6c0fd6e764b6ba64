"""The dev loss: the mean supervised loss over labelled units, whatever the batches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from data_utils.encoded_rows import EncodedRows
from mt_dnn.config.run import ModelConfig
from mt_dnn.inference.evaluate import evaluate
from mt_dnn.inference.losses import NOTHING, MeasuredLoss, mean_loss
from mt_dnn.model import MTDNN
from mt_dnn.runs.prepare import prepare
from tests.support.batches import make_batch
from tests.support.encoders import tiny_encoder
from tests.support.tasks import make_kind


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


def test_a_batch_weighs_by_its_labelled_words():
    tagging = make_kind("SequenceLabeling", n_class=2)
    logits = torch.tensor([[[0.0, 2.0], [1.0, 0.0]], [[0.0, 3.0], [0.0, 0.0]]])  # (2, 2, 2)
    labels = torch.tensor([[1, 0], [1, -100]])
    measured = MeasuredLoss(MTDNN(tiny_encoder(), {}, ModelConfig()), tagging)
    shares = []
    for rows in ([0], [1]):
        places = [np.array([0, 1])]
        words = {"word_starts": places, "word_labels": places}
        batch = make_batch([2], labels=labels[rows], extras=words)
        shares += [share for _, share in measured.read(logits[rows], batch)]
    assert [units for _, units in shares] == [2.0, 1.0]
    whole = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    assert mean_loss(shares) == pytest.approx(float(whole))


def test_batches_without_labelled_units_do_not_count():
    assert mean_loss([(6.0, 3.0), NOTHING, (1.0, 4.0)]) == pytest.approx(1.0)
    assert mean_loss([NOTHING]) is None
    assert mean_loss([(math.inf, 1.0)]) is None
