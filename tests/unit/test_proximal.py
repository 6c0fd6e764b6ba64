"""D_Breg and its teacher: the closed form of the average, exact zero at the start, no side effects."""

import pytest
import torch
from torch import nn

from data_utils.errors import UserError
from mt_dnn.config.presets import resolve
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.divergences import symmetric_kl
from mt_dnn.objective.proximal import ProximalTeacher, momentum
from mt_dnn.randomness import seeded_rng


class Model(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Dropout(dropout), nn.BatchNorm1d(8))
        self.head = nn.Linear(8, 3)

    def forward(self, x, *, scale=1.0):
        return scale * self.head(self.body(self.frozen(x)))


def config(**changes):
    return resolve("smart", SmoothnessConfig(), ProximalConfig(**changes))[1]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model()


@pytest.fixture
def x():
    return torch.randn(16, 4, generator=torch.Generator().manual_seed(0))


def measure(p, q):
    return symmetric_kl(p, q).mean()


def move(model, amount=0.1):
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(amount * torch.randn_like(p))


def test_exactly_nothing_at_the_start_without_dropout(model, x):
    model.eval()
    teacher = ProximalTeacher(model, config())
    value = measure(model(x), teacher.logits(x))
    value.backward()
    assert value == 0
    assert all(p.grad.abs().max() == 0 for p in model.parameters() if p.requires_grad)
    assert teacher.distance() == 0


def test_pulls_the_student_back(model, x):
    model.eval()
    teacher = ProximalTeacher(model, config())
    move(model)
    value = measure(model(x), teacher.logits(x))
    assert value > 0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(20):
        optimizer.zero_grad()
        last = measure(model(x), teacher.logits(x))
        last.backward()
        optimizer.step()
    assert last < value / 2


def test_average_equals_its_closed_form(model):
    beta, n = 0.7, 12
    teacher = ProximalTeacher(model, config(beta=beta, beta_switch=1.0))
    history = [model.head.weight.detach().double().clone()]
    for step in range(1, n + 1):
        move(model)
        history.append(model.head.weight.detach().double().clone())
        teacher.update(step, n)
    expected = beta**n * history[0]
    for t in range(1, n + 1):
        expected = expected + (1 - beta) * beta ** (n - t) * history[t]
    torch.testing.assert_close(
        teacher.state_dict()["head.weight"].double(), expected, rtol=1e-5, atol=1e-6
    )
    assert teacher.distance() > 0


def test_momentum_rises_after_the_first_tenth():
    betas = [momentum(config(), step, 100) for step in (1, 10, 11, 100)]
    assert betas == [0.99, 0.99, 0.999, 0.999]


def test_a_horizon_sets_the_length_of_the_average():
    """A twentieth of 1000 updates: 50, reached after 50 updates."""
    betas = [momentum(config(horizon=0.05), step, 1000) for step in range(1, 1001)]
    assert betas[:3] == [1 / 2, 2 / 3, 3 / 4]
    assert betas[48:] == [0.98] * 952
    every_fifth = [momentum(config(horizon=0.05, steps=5), step, 1000) for step in (5, 10, 1000)]
    assert every_fifth == [1 / 2, 2 / 3, 0.9]  # 10 updates of theta_tilde
    assert momentum(config(horizon=0.05), 3, 10) == 0  # shorter than an update: a copy


def test_an_early_average_is_the_mean_of_all_parameters_so_far(model):
    teacher = ProximalTeacher(model, config(horizon=0.5))
    history = [model.head.weight.detach().clone()]
    for step in range(1, 20):
        move(model)
        history.append(model.head.weight.detach().clone())
        teacher.update(step, 60)
    expected = torch.stack(history).mean(0)
    torch.testing.assert_close(teacher.state_dict()["head.weight"], expected)


def test_a_copy_has_no_horizon():
    with pytest.raises(UserError, match=r"proximal\.horizon.*vbpp"):
        config(teacher="vbpp", horizon=0.1)


def test_a_dropout_seed_gives_the_students_own_masks(x):
    """Batch normalization too: its statistics are those of the batch, and its buffers stay."""
    torch.manual_seed(0)
    model = Model(dropout=0.5).train()
    teacher = ProximalTeacher(model, config())
    with seeded_rng(5, "cpu"):
        student = model(x)
    buffers = {n: b.clone() for n, b in model.named_buffers()}
    rng = torch.get_rng_state()
    assert torch.equal(teacher.logits(x, dropout_seed=5), student)
    assert not torch.equal(teacher.logits(x, dropout_seed=6), student)
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(b, buffers[n]) for n, b in model.named_buffers())


def test_beta_zero_is_vbpp(model):
    averaged = ProximalTeacher(model, config(beta=0.0, beta_late=0.0))
    copied = ProximalTeacher(model, config(teacher="vbpp"))
    for step in range(1, 4):
        move(model)
        averaged.update(step, 3)
        copied.update(step, 3)
        for name, p in model.named_parameters():
            if p.requires_grad:
                assert torch.equal(averaged.state_dict()[name], p)
                assert torch.equal(copied.state_dict()[name], p)


def test_updates_every_s_steps(model):
    teacher = ProximalTeacher(model, config(teacher="vbpp", steps=3))
    move(model)
    distances = []
    for step in range(1, 7):
        teacher.update(step, 6)
        distances.append(teacher.distance().item())
        move(model) if step == 3 else None
    assert [d == 0 for d in distances] == [False, False, True, False, False, True]


def test_logits_have_no_dropout_no_gradient_and_no_side_effects(x):
    torch.manual_seed(0)
    model = Model(dropout=0.5).train()
    model.head.eval()
    teacher = ProximalTeacher(model, config())
    buffers = {n: b.clone() for n, b in model.named_buffers()}
    modes = {n: m.training for n, m in model.named_modules()}
    parameters = dict(model.named_parameters())
    rng = torch.get_rng_state()
    first, second = teacher.logits(x, scale=2.0), teacher.logits(x, scale=2.0)
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert not first.is_inference()
    assert torch.equal(torch.get_rng_state(), rng)
    assert {n: m.training for n, m in model.named_modules()} == modes
    assert all(torch.equal(b, buffers[n]) for n, b in model.named_buffers())
    assert all(p is parameters[n] for n, p in model.named_parameters())
    model.eval()
    torch.testing.assert_close(first, model(x, scale=2.0).detach())


def test_runs_with_the_teachers_parameters(model, x):
    model.eval()
    before = model(x).detach()
    teacher = ProximalTeacher(model, config())
    move(model)
    assert torch.equal(teacher.logits(x), before)
    assert not torch.allclose(model(x), before)


def test_copies_what_is_trained_and_shares_the_rest(model, x):
    teacher = ProximalTeacher(model, config())
    assert set(teacher.state_dict()) == {n for n, p in model.named_parameters() if p.requires_grad}
    assert teacher.state_dict()["head.weight"] is not model.head.weight
    model.eval()
    before = teacher.logits(x)
    model.frozen.weight.data.add_(1)
    assert not torch.allclose(teacher.logits(x), before)


def test_the_average_is_float32_for_half_parameters():
    model = nn.Linear(2, 2).bfloat16()
    teacher = ProximalTeacher(model, config(beta=0.999, beta_switch=1.0))
    with torch.no_grad():
        model.weight.add_(1)
    before = teacher.state_dict()["weight"].clone()
    teacher.update(1, 10)
    after = teacher.state_dict()["weight"]
    assert after.dtype == torch.float32
    torch.testing.assert_close(after - before, torch.full((2, 2), 1e-3), rtol=1e-2, atol=0)


def test_state_survives_a_round_trip(model, x):
    teacher = ProximalTeacher(model, config())
    move(model)
    teacher.update(1, 10)
    saved = {n: t.clone() for n, t in teacher.state_dict().items()}
    restored = ProximalTeacher(model, config())
    restored.load_state_dict(saved)
    assert torch.equal(restored.logits(x), teacher.logits(x))
    move(model)
    teacher.update(2, 10)
    restored.update(2, 10)
    assert restored.distance() == teacher.distance()


def test_a_foreign_state_is_refused(model):
    teacher = ProximalTeacher(model, config())
    state = teacher.state_dict()
    del state["head.bias"]
    with pytest.raises(UserError, match=r"head\.bias"):
        teacher.load_state_dict(state)
    with pytest.raises(UserError, match=r"head\.weight"):
        teacher.load_state_dict({**teacher.state_dict(), "head.weight": torch.zeros(1)})
