"""Logits merged over windows: by hand in float64, and in every pass that reads logits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import mt_dnn
from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.task_def import Windows
from mt_dnn.config.run import DistillConfig, ModelConfig, RunConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.heads.pooled import by_example
from mt_dnn.inference.ensemble import Ensemble
from mt_dnn.model import MTDNN
from mt_dnn.objective.objective import Objective
from mt_dnn.objective.step import Step
from mt_dnn.registries import MERGES
from mt_dnn.task_types import TaskType
from tests.support.batches import make_batch
from tests.support.encoders import VOCAB, tiny_encoder, tiny_encoder_folder
from tests.support.model_folders import scattered, tasks_of, write_model
from tests.support.tasks import make_task
from tests.support.words import WORDS

COUNTS = [2, 1, 3]
"""Windows of each example."""
LENGTHS = [6, 4, 5, 3, 6, 2]
LABELS = {
    "Classification": [0, 2, 1],
    "Regression": [0.5, 1.5, -1.0],
    "MultiLabel": [[1, 0, 1], [0, 0, 0], [0, 1, 0]],
}
merges = pytest.mark.parametrize("merge", ["mean", "max"])


def merged(rows: Tensor, merge: str) -> Tensor:
    """(N, C) -> (B, C), one example at a time."""
    parts = rows.split(COUNTS)
    return torch.stack([part.mean(0) if merge == "mean" else part.max(0).values for part in parts])


def batch_of(task_type: str = "Classification", **fields) -> Batch:
    return make_batch(
        LENGTHS, ids=(2, VOCAB), candidates=COUNTS, labels=LABELS[task_type], **fields
    )


def model_of(merge: str | None, task_type: str = "Classification", **options) -> MTDNN:
    windows = None if merge is None else Windows(merge=merge)
    tasks = {"t": make_task(task_type, windows=windows, **options)}
    return scattered(tiny_encoder(), tasks)


@merges
def test_the_merge_and_its_gradient_by_hand(merge):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(6, 4, generator=generator, dtype=torch.float64).requires_grad_()
    weights = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    present = torch.arange(3) < torch.tensor(COUNTS)[:, None]
    found = MERGES.get(merge)(by_example(rows, present), present)
    (gradient,) = torch.autograd.grad((weights * found).sum(), rows)

    values, expected = rows.detach().numpy(), np.zeros((6, 4))
    start = 0
    for example, count in enumerate(COUNTS):
        own = values[start : start + count]
        by_hand = own.sum(0) / count if merge == "mean" else own.max(0)
        np.testing.assert_allclose(found[example].detach(), by_hand, rtol=1e-14)
        for window in range(count):
            share = 1 / count if merge == "mean" else own[window] == by_hand
            expected[start + window] = share * weights[example].numpy()
        start += count
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)
    assert torch.autograd.gradcheck(
        lambda x: MERGES.get(merge)(by_example(x, present), present), rows
    )


@merges
@pytest.mark.parametrize("task_type", LABELS)
def test_training_goes_through_the_merge(merge, task_type):
    """The loss and every gradient are those of the merge between the plain model and the loss."""
    model = model_of(merge, task_type).double()
    plain = model_of(None, task_type).double()
    batch = batch_of(task_type)
    logits = merged(plain(replace(batch, candidate_mask=None)), merge)
    torch.testing.assert_close(model(batch), logits, rtol=1e-12, atol=1e-12)
    expected = plain.task_types["t"].loss(logits, batch)
    values = Objective.from_config(model, RunConfig())(batch, seed=1)
    torch.testing.assert_close(values.total, expected, rtol=1e-6, atol=1e-6)  # losses are float32
    model.task_types["t"].loss(model(batch), batch).backward()
    expected.backward()
    names = dict(plain.named_parameters())
    assert names.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, names[name].grad, rtol=1e-5, atol=1e-8)
    state = model.state_dict()
    assert state.keys() == plain.state_dict().keys()


@merges
@pytest.mark.parametrize("san", [False, True], ids=["pooled", "san"])
def test_one_window_is_no_window_to_the_last_bit(merge, san):
    options = {"enable_san": san, "data_format": "PremiseAndOneHypothesis"}
    losses = []
    for windows, candidates in ((merge, [1, 1, 1]), (None, None)):
        model = model_of(windows, **options).train()
        batch = make_batch(
            LENGTHS[:3],
            ids=(2, VOCAB),
            first=[2, 2, 2],
            candidates=candidates,
            labels=LABELS["Classification"],
        )
        config = RunConfig(smart="smart", proximal=ProximalConfig(weight=0.5))
        values = Objective.from_config(model, config)(batch, seed=3)
        values.total.backward()
        losses.append((values.values, {n: p.grad for n, p in model.named_parameters()}))
    (first, gradients), (second, others) = losses
    assert first["smoothness"] > 0
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name, gradient in gradients.items():
        assert (gradient is None) == (others[name] is None)
        assert gradient is None or torch.equal(gradient, others[name])


@merges
@pytest.mark.parametrize("task_type", LABELS)
def test_smart_and_the_teacher_see_merged_logits(merge, task_type):
    model = model_of(merge, task_type).train()
    batch = batch_of(task_type)
    step = Step.from_batch(model, batch, seed=3)
    assert step.logits.shape[0] == len(batch) == 3
    assert torch.equal(step.forward(step.embeds), step.logits)
    assert torch.equal(step.head(step.hidden), step.logits)
    still = SmoothnessConfig(noise="zero", steps=0, weight=1.0)
    zero = Objective.from_config(model, RunConfig(smart="smart", smoothness=still))
    assert zero(batch, seed=3).values["smoothness"] == 0
    config = RunConfig(smart="smart", proximal=ProximalConfig(weight=0.5))
    objective = Objective.from_config(model, config)
    with torch.no_grad():
        for parameter in model.heads.parameters():
            parameter.mul_(1.2)
    values = objective(batch, seed=3).values
    assert values["smoothness"] > 0
    assert values["proximal"] > 0


def test_the_divergence_is_that_of_merged_logits_in_float64():
    """R_s of one random perturbation, with the merge written out."""
    model, plain = model_of("mean").double(), model_of(None).double()
    batch = batch_of()
    step = Step.from_batch(model, batch, seed=3)
    generator = torch.Generator().manual_seed(5)
    delta = 0.01 * torch.randn(step.embeds.shape, generator=generator, dtype=torch.float64)
    flat = replace(batch, candidate_mask=None)
    embeds = plain.embed(flat)
    p, q = (merged(plain.logits(x, flat), "mean") for x in (embeds + delta, embeds))
    kl = (p.softmax(-1) - q.softmax(-1)) * (p.log_softmax(-1) - q.log_softmax(-1))
    found = step.divergence(step.forward(step.embeds + delta), step.logits)
    torch.testing.assert_close(found.double(), kl.sum(-1).mean(), rtol=1e-5, atol=1e-9)


@merges
def test_a_student_is_compared_by_its_merged_logits(merge):
    model, plain = model_of(merge), model_of(None)
    teacher = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    batch = batch_of(soft_labels=teacher)
    config = RunConfig(distill=DistillConfig(soft_labels="soft", weight=1.0))
    found = Objective.from_config(model, config)(batch, seed=1).total
    student = merged(plain(replace(batch, candidate_mask=None)), merge).log_softmax(-1)
    expected = (teacher.softmax(-1) * (teacher.log_softmax(-1) - student)).sum(-1).mean()
    torch.testing.assert_close(found, expected)


def test_a_task_without_windows_shares_the_head_of_one_with():
    tasks = {
        "long": make_task(name="long", head="h", windows=Windows()),
        "short": make_task(name="short", head="h"),
    }
    model = scattered(tiny_encoder(), tasks)
    rows = model(make_batch(LENGTHS, ids=(2, VOCAB), task="short"))
    found = model(make_batch(LENGTHS, ids=(2, VOCAB), candidates=COUNTS, task="long"))
    assert torch.equal(found, merged(rows, "mean"))
    cut_off = {"long": replace(tasks["long"], windows=None)}
    other = MTDNN(tiny_encoder(), cut_off, ModelConfig())
    with pytest.raises(UserError, match="windows is Windows"):
        Ensemble([model, other], ["a", "b"])


def test_a_merge_of_a_plugin(registries):
    @MERGES.register("last")
    def last(logits: Tensor, present: Tensor) -> Tensor:
        return logits[torch.arange(len(logits)), present.sum(1) - 1]

    rows = model_of(None)(replace(batch_of(), candidate_mask=None))
    found = model_of("last")(batch_of())
    assert torch.equal(found, torch.stack([part[-1] for part in rows.split(COUNTS)]))
    MERGES.register("all")(lambda logits, present: logits)
    with pytest.raises(UserError, match=r"'all' returned the shape \(3, 3, 3\); expected \(3, 3\)"):
        model_of("all")(batch_of())


LONG = """\
t:
  data_format: PremiseOnly
  task_type: Classification
  labels: [a, b]
  metric_meta: [ACC]
  max_seq_len: 12
  windows: {stride: 2, merge: max}
"""


def test_predictions_of_a_saved_model_are_those_of_merged_windows(tmp_path):
    encoder = tiny_encoder_folder(tmp_path / "encoder")
    write_model(tmp_path / "run", tasks_of(tmp_path, LONG), encoder)
    loaded = mt_dnn.load(tmp_path / "run")
    long = " ".join(WORDS[:30])
    found = loaded.logits("t", [long, "a dog"])
    assert found.shape == (2, 2)
    batch = loaded.model.batch("t", [long, "a dog"])
    assert batch.candidate_mask is not None
    assert batch.candidate_mask.sum(1).tolist() == [4, 1]
    with torch.no_grad():
        own = loaded.model.heads["t"](loaded.model.encode(loaded.model.embed(batch), batch), batch)
    np.testing.assert_allclose(found[0], own[:4].max(0).values, rtol=1e-5)
    np.testing.assert_allclose(found[1], own[4], rtol=1e-5)
    answer = loaded.predict("t", [long])[0]
    assert answer.prediction == "ab"[int(found[0].argmax())]
    kind: TaskType = loaded.model.task_types["t"]
    assert [p.value for p in kind.decode(torch.tensor(found), batch)] == found.argmax(1).tolist()
