"""The loss of distillation: mixed losses are BAM's mixed targets, temperature, annealing, types of task."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from data_utils.collator import IGNORE
from mt_dnn.config.run import DistillConfig
from mt_dnn.objective.distillation import distillation_loss, teacher_weight
from mt_dnn.registries import DIVERGENCES, TASK_TYPES
from tests.support.batches import make_batch
from tests.support.tasks import make_kind
from tests.support.token_labels import LABELS as TOKEN_LABELS
from tests.support.token_labels import STARTS, word_batch

B, C = 5, 4
RANKED = [[0, 1, IGNORE], [1, 0, 0], [1, IGNORE, IGNORE]]


def mean(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda p, q: DIVERGENCES.get(name)(p, q).mean()


def gradient(loss: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    at = at.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(at), at)
    return found


@pytest.fixture
def logits() -> tuple[Tensor, Tensor]:
    """Student and teacher in float64."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = 3 * torch.randn(2, B, C, generator=generator, dtype=torch.float64)
    return student, teacher


# Mixing losses is mixing targets.


@pytest.mark.parametrize("w", [0.0, 0.3, 1.0])
def test_classes_have_the_gradient_of_the_mixed_target(logits, w):
    student, teacher = logits
    labels = torch.tensor([0, 3, 1, 1, 2])
    target = (1 - w) * F.one_hot(labels, C).double() + w * teacher.softmax(-1)

    def mixed_losses(s: Tensor) -> Tensor:
        kd = distillation_loss(s, teacher, mean("kl"), temperature=1.0)
        return (1 - w) * F.cross_entropy(s, labels) + w * kd

    found = gradient(mixed_losses, student)
    expected = gradient(lambda s: F.cross_entropy(s, target), student)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)


def test_sets_of_labels_have_the_gradient_of_the_mixed_target(logits):
    student, teacher = logits
    labels = (teacher > 0.5).double()
    target = 0.7 * labels + 0.3 * teacher.sigmoid()

    def cross_entropy(s: Tensor, t: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(s, t, reduction="none").sum(-1).mean()

    def mixed_losses(s: Tensor) -> Tensor:
        kd = distillation_loss(s, teacher, mean("bernoulli_kl"), temperature=1.0)
        return 0.7 * cross_entropy(s, labels) + 0.3 * kd

    found = gradient(mixed_losses, student)
    expected = gradient(lambda s: cross_entropy(s, target), student)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)


def test_squared_errors_differ_by_a_constant_alone(logits):
    student, teacher = (z[:, :1] for z in logits)
    gold = torch.tensor([[0.5], [2.0], [-1.0], [4.0], [0.0]], dtype=torch.float64)
    error, w = mean("squared_error"), 0.3

    def mixed_losses(s: Tensor) -> Tensor:
        kd = distillation_loss(s, teacher, error, temperature=1.0)
        return (1 - w) * error(s, gold) + w * kd

    def mixed_target(s: Tensor) -> Tensor:
        return error(s, (1 - w) * gold + w * teacher)

    torch.testing.assert_close(gradient(mixed_losses, student), gradient(mixed_target, student))
    constant = w * (1 - w) * error(gold, teacher)
    torch.testing.assert_close(mixed_losses(student), mixed_target(student) + constant)


# Temperature.


def test_kl_by_hand():
    """Teacher (1/4, 3/4), student (1/2, 1/2); T = 2 takes the root of the odds."""
    student, teacher = torch.zeros(1, 2), torch.tensor([[0.0, math.log(3)]])
    plain = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    root = 1 / (1 + math.sqrt(3))
    soft = root * math.log(root / 0.5) + (1 - root) * math.log((1 - root) / 0.5)
    for temperature, expected in ((1.0, plain), (2.0, 4 * soft)):
        found = distillation_loss(student, teacher, mean("kl"), temperature=temperature)
        assert found.item() == pytest.approx(expected, rel=1e-6)


def test_at_high_temperature_centred_logits_are_matched(logits):
    """Hinton et al., section 2.1: the gradient tends to (s - t) / C for logits of mean 0."""
    student, teacher = (z - z.mean(-1, keepdim=True) for z in logits)
    found = gradient(
        lambda s: B * distillation_loss(s, teacher, mean("kl"), temperature=1e4), student
    )
    torch.testing.assert_close(found, (student - teacher) / C, rtol=0, atol=1e-3)


def test_temperature_cancels_in_squared_error(logits):
    student, teacher = logits
    for temperature in (0.5, 1.0, 3.0):
        found = distillation_loss(student, teacher, mean("squared_error"), temperature=temperature)
        torch.testing.assert_close(found, (student - teacher).square().sum(-1).mean())


def test_the_teacher_gets_no_gradient_and_is_reached(logits):
    student, teacher = (z.clone().requires_grad_() for z in logits)
    distillation_loss(student, teacher, mean("kl"), temperature=2.0).backward()
    assert teacher.grad is None
    assert student.grad.any()
    same = teacher.detach().clone().requires_grad_()
    value = distillation_loss(same, teacher, mean("kl"), temperature=2.0)
    assert value.item() == 0.0


def test_half_precision_students_are_softened_in_float32():
    student = torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16)
    teacher = torch.tensor([[0.5, 2.0]])
    found = distillation_loss(student, teacher, mean("kl"), temperature=3.0)
    wanted = distillation_loss(student.float(), teacher, mean("kl"), temperature=3.0)
    assert torch.equal(found, wanted)  # a bfloat16 third would be off by 0.2%


# Annealing.


def test_annealing_by_hand():
    constant = DistillConfig(weight=0.6)
    assert {teacher_weight(constant, p) for p in (0.0, 0.5, 1.0)} == {0.6}
    linear = dataclasses.replace(constant, annealing="linear")
    assert [teacher_weight(linear, step / 4) for step in range(5)] == pytest.approx(
        [0.6, 0.45, 0.3, 0.15, 0.0]
    )


# Task types.


@pytest.mark.parametrize("name", TASK_TYPES.names())
def test_a_type_distils_by_one_of_its_divergences_or_not_at_all(name):
    kind = TASK_TYPES.get(name)
    assert kind.kd_loss is None or kind.kd_loss in kind.divergences()


def test_these_can_be_distilled():
    able = {name for name in TASK_TYPES.names() if TASK_TYPES.get(name).kd_loss is not None}
    assert able == {
        *("Classification", "Regression", "MultiLabel", "Ranking", "MultipleChoice", "ClozeChoice"),
        "SequenceLabeling",
    }


@pytest.mark.parametrize("absent", [0.0, float("nan"), float("inf")])
def test_absent_candidates_are_not_looked_at(absent):
    kind = make_kind("Ranking")
    values = [[0.0, 2.0, absent], [1.0, 0.0, 0.0], [7.0, absent, absent]]
    student = torch.tensor(values, requires_grad=True)
    batch = make_batch([4] * 6, candidates=[2, 3, 1], labels=RANKED)
    batch.soft_labels = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [3.0, 0.0, 0.0]])
    teacher = kind.soft_logits(student, batch)
    loss = distillation_loss(
        student, teacher, lambda p, q: kind.divergence(p, q, batch, name="kl"), temperature=1.0
    )
    loss.backward()
    first = torch.tensor([1.0, 0.0]).log_softmax(-1), torch.tensor([0.0, 2.0]).log_softmax(-1)
    second = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([1.0, 0.0, 0.0])
    second = second[0].log_softmax(-1), second[1].log_softmax(-1)
    expected = sum((t.exp() * (t - s)).sum().item() for t, s in (first, second)) / 3
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert student.grad[0, 2] == 0
    assert not student.grad[2].any()


def test_words_are_distilled_at_their_first_sub_words():
    kind = make_kind("SequenceLabeling")
    generator = torch.Generator().manual_seed(0)
    student, soft = torch.randn(2, 2, 5, 3, generator=generator)
    batch = word_batch(TOKEN_LABELS, STARTS)
    batch.soft_labels = soft[:, :4]  # narrower than logits that batch.pad_multiple widened
    student.requires_grad_()
    teacher = kind.soft_logits(student, batch)
    assert teacher.shape == student.shape
    loss = distillation_loss(
        student, teacher, lambda p, q: kind.divergence(p, q, batch, name="kl"), temperature=1.0
    )
    loss.backward()
    places = [(0, 1), (0, 3), (1, 1)]
    expected = sum(DIVERGENCES.get("kl")(soft[p], student[p]).item() for p in places) / 3
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    touched = student.grad.abs().sum(-1) > 0
    assert touched.nonzero().tolist() == [list(p) for p in places]


def test_mse_is_a_mean_over_classes_and_labelled_words():
    kind = make_kind("SequenceLabeling", kd_loss="mse")
    p, q = torch.randn(2, 2, 5, 3, generator=torch.Generator().manual_seed(0))
    batch = word_batch(TOKEN_LABELS, STARTS)
    found = kind.divergence(p, q, batch, name=kind.task.kd_loss)
    expected = sum((p[at] - q[at]).square().mean() for at in [(0, 1), (0, 3), (1, 1)]) / 3
    torch.testing.assert_close(found, expected)
