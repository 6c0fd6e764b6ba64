"""R_s on a toy network: the ball, the ascent, gradients, cost, dropout, precision, what is dropped."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from mt_dnn.ball import norms, project, random_like, unit
from mt_dnn.divergences import symmetric_kl
from mt_dnn.presets import PRESETS, ProximalConfig, SmoothnessConfig, resolve
from mt_dnn.randomness import dropout_off, replay
from mt_dnn.smoothness import perturbation, smoothness_loss

N, T, E = 6, 5, 8
MASK = torch.arange(T) < torch.tensor([5, 3, 1, 5, 4, 2])[:, None]  # (N, T)


class Toy(nn.Module):
    """(N,T,E) -> (N,3): one nonlinear layer per token, the mean over real tokens, an output layer."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.hidden = nn.Linear(E, 16)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(16, 3)
        self.calls = 0

    def forward(self, embeds):
        self.calls += 1
        weight = MASK[..., None] / MASK.sum(1)[:, None, None]
        hidden = self.dropout(self.hidden(embeds).tanh())
        return self.output((hidden * weight).sum(1))


def measure(p, q):
    return symmetric_kl(p, q).mean()


def config(preset="smart", **changes):
    return resolve(preset, SmoothnessConfig(**changes), ProximalConfig())[0]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def embeddings(seed=0):
    return 0.5 * torch.randn(N, T, E, generator=generator(seed))


def run(model, cfg, *, seed=0, embeds=None, **options):
    embeds = embeddings() if embeds is None else embeds
    clean = model(embeds)
    return smoothness_loss(model, embeds, clean, measure, MASK, cfg, generator(seed), **options)


def delta_of(model, cfg, seed=0, divergence=measure):
    embeds = embeddings()
    arguments = (model, embeds, model(embeds), divergence, MASK, cfg, generator(seed))
    return perturbation(*arguments)[0]


@pytest.fixture
def toy():
    torch.manual_seed(1)
    return Toy()


@pytest.fixture(scope="module")
def trained():
    """Fits three classes that depend on two coordinates of the embeddings."""
    torch.manual_seed(2)
    model = Toy()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(150):
        embeds = embeddings(step)
        means = (embeds * MASK[..., None]).sum(1) / MASK.sum(1, keepdim=True)
        labels = (means[:, 0] > 0).long() + (means[:, 1] > 0).long()
        loss = nn.functional.cross_entropy(model(embeds), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


BALLS = [(n, s) for n in ("linf", "l2", "l1") for s in ("token", "sentence")]


# --- the ball


@pytest.mark.parametrize(("norm", "scope"), BALLS)
@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e4])
def test_projection_is_inside_and_zero_on_padding(norm, scope, scale):
    delta = scale * embeddings()
    inside = project(delta, epsilon=1e-3, norm=norm, scope=scope, mask=MASK)
    assert (norms(inside, norm=norm, scope=scope) <= 1e-3 * (1 + 1e-5)).all()
    assert inside[~MASK].abs().max() == 0
    again = project(inside, epsilon=1e-3, norm=norm, scope=scope, mask=MASK)
    torch.testing.assert_close(again, inside)


@pytest.mark.parametrize(("norm", "scope"), BALLS)
def test_projection_leaves_the_inside_alone(norm, scope):
    delta = embeddings().masked_fill(~MASK[..., None], 0)
    inside = project(delta, epsilon=1e3, norm=norm, scope=scope, mask=MASK)
    torch.testing.assert_close(inside, delta, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("norm", "scope"), BALLS)
def test_projection_is_the_nearest_point(norm, scope):
    """Of a convex set: (v - Pi v) . (w - Pi v) <= 0 for every w inside."""
    delta = embeddings().double().masked_fill(~MASK[..., None], 0)
    nearest = project(delta, epsilon=0.7, norm=norm, scope=scope, mask=MASK)
    for seed in range(20):
        other = (10 * torch.randn(N, T, E, generator=generator(seed))).double()
        other = project(other, epsilon=0.7, norm=norm, scope=scope, mask=MASK)
        assert ((delta - nearest) * (other - nearest)).sum((1, 2)).max() <= 1e-12


def test_l1_projection_by_hand():
    delta = torch.tensor([[[3.0, -0.1, 0.0], [1.0, -0.8, 0.1], [0.2, 0.2, -0.2]]])
    inside = project(delta, epsilon=1.0, norm="l1", scope="token", mask=torch.ones(1, 3))
    expected = torch.tensor([[[1.0, 0.0, 0.0], [0.6, -0.4, 0.0], [0.2, 0.2, -0.2]]])
    torch.testing.assert_close(inside, expected)


@pytest.mark.parametrize(("norm", "scope"), BALLS)
@pytest.mark.parametrize("scale", [1.0, 1e-30])
def test_unit_has_norm_one_and_keeps_zero(norm, scope, scale):
    gradient = scale * embeddings()
    gradient[0] = 0
    direction = unit(gradient, norm=norm, scope=scope)
    assert direction[0].abs().max() == 0
    torch.testing.assert_close(
        norms(direction[1:], norm=norm, scope=scope),
        torch.ones_like(norms(direction[1:], norm=norm, scope=scope)),
    )


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_random_signs_have_the_norm_of_each_token(norm):
    delta = embeddings().masked_fill(~MASK[..., None], 0)
    signs = random_like(delta, norm=norm, generator=generator())
    torch.testing.assert_close(
        norms(signs, norm=norm, scope="token"), norms(delta, norm=norm, scope="token")
    )
    assert signs[~MASK].abs().max() == 0
    real = signs[MASK].abs()
    torch.testing.assert_close(real, real[:, :1].expand_as(real))


# --- the perturbation


@pytest.mark.parametrize(("norm", "scope"), BALLS)
@pytest.mark.parametrize(
    ("ascent", "steps"),
    [(a, k) for a in ("projected", "normalized", "none") for k in (0, 1, 3)]
    + [("accumulated", 1), ("accumulated", 3)],
)
def test_delta_satisfies_its_bound(toy, norm, scope, ascent, steps):
    cfg = config(
        ascent=ascent, norm=norm, norm_scope=scope, epsilon=1e-2, step_size=0.1, steps=steps,
        sigma=0.1,
    )  # fmt: skip
    seen = []

    def watched(embeds):
        seen.append((embeds - embeddings()).detach())
        return toy(embeds)

    smoothness_loss(watched, embeddings(), toy(embeddings()), measure, MASK, cfg, generator())
    delta = seen[-1]
    assert delta[~MASK].abs().max() == 0
    assert delta[MASK].abs().max() > 0
    size = norms(delta, norm=norm, scope=scope)
    if ascent == "none":
        assert size.max() > 1e-2  # R3F: as drawn
    else:
        assert (size <= 1e-2 * (1 + 1e-3)).all()  # x + delta - x rounds
    if ascent == "normalized":
        assert (size[MASK] if scope == "token" else size).min() > 0.99e-2


@pytest.mark.parametrize(("noise", "largest"), [("normal", None), ("uniform", 0.3), ("zero", 0.0)])
def test_noise_is_as_asked_and_owned(toy, noise, largest):
    cfg = replace(config("r3f"), noise=noise, sigma=0.3)
    before = torch.get_rng_state()
    first, second = delta_of(toy, cfg), delta_of(toy, cfg)
    assert torch.equal(first, second)  # a function of the generator
    assert torch.equal(torch.get_rng_state(), before)
    if noise == "normal":
        assert first[MASK].std().item() == pytest.approx(0.3, rel=0.2)
    else:
        assert first.abs().max() <= largest
    if noise != "zero":
        assert not torch.equal(first, delta_of(toy, cfg, seed=1))


@pytest.mark.parametrize("preset", [p for p in PRESETS if p != "rdrop"])
def test_each_preset_runs_and_trains(toy, preset):
    loss, stats = run(toy, config(preset), measure_gain=True)
    loss.backward()
    assert loss > 0
    assert stats.dropped == 0
    assert toy.hidden.weight.grad.abs().max() > 0


def test_normalized_follows_the_raw_gradient(toy):
    """delta = N(nu + eta g) with g of the batch's sum; with MT-DNN's eta that is nearly its noise."""
    toy, embeds = toy.double(), embeddings().double()
    cfg = config("mtdnn_release")
    arguments = (toy, embeds, toy(embeds), measure, MASK)
    nu, _ = perturbation(*arguments, replace(cfg, ascent="none"), generator())
    x = nu.clone().requires_grad_()
    (g,) = torch.autograd.grad(N * measure(toy(embeds + x), toy(embeds)), x)
    for eta in (1e-5, float(nu.norm() / g.norm())):
        delta, _ = perturbation(*arguments, replace(cfg, step_size=eta), generator())
        expected = nu + eta * g
        expected = expected / expected.abs().amax(-1, keepdim=True).clamp(min=1e-30)
        torch.testing.assert_close(delta, expected)
    nearly, _ = perturbation(*arguments, cfg, generator())
    assert torch.cosine_similarity(nearly.flatten(), nu.flatten(), dim=0) > 0.9


@pytest.mark.parametrize(("norm", "scope"), BALLS)
@pytest.mark.parametrize("ascent", ["projected", "normalized"])
def test_padding_takes_no_part_in_the_step(norm, scope, ascent):
    """Even where the network looks at it: its gradient neither moves it nor enters a norm."""

    def forward(embeds):
        weight = torch.where(MASK, 1.0, 1e6)[..., None]
        return (weight * embeds)[..., :3].sum(1)

    cfg = config(ascent=ascent, norm=norm, norm_scope=scope, epsilon=1.0, step_size=0.5)
    embeds = embeddings().double()
    arguments = (embeds, forward(embeds), nn.functional.mse_loss, MASK, cfg, generator())
    delta, _ = perturbation(forward, *arguments)
    assert delta[~MASK].abs().max() == 0
    size = norms(delta, norm=norm, scope=scope)
    assert (size[MASK] if scope == "token" else size).min() > 0.4


def test_one_step_is_algorithm_1(toy):
    """delta = Pi(nu + eta g / ||g||_inf), by hand."""
    toy, embeds = toy.double(), embeddings().double()
    cfg = config(sigma=1e-2, epsilon=2e-2, step_size=3e-2)
    arguments = (toy, embeds, toy(embeds), measure, MASK)
    nu, _ = perturbation(*arguments, replace(cfg, ascent="none"), generator())
    delta, finite = perturbation(*arguments, cfg, generator())
    x = nu.clone().requires_grad_()
    (g,) = torch.autograd.grad(measure(toy(embeds + x), toy(embeds).detach()), x)
    step = g / g.abs().amax((1, 2), keepdim=True)
    expected = (nu + 3e-2 * step).clamp(-2e-2, 2e-2).masked_fill(~MASK[..., None], 0)
    assert finite
    torch.testing.assert_close(delta, expected)


def test_zero_gradient_takes_no_step():
    def constant(embeds):
        return 0 * embeds.sum((1, 2))[:, None].expand(N, 3)

    for norm in ("linf", "l2", "l1"):
        cfg = config(norm=norm, epsilon=1.0, sigma=1e-3)
        before = perturbation(
            constant, embeddings(), torch.zeros(N, 3), measure, MASK,
            replace(cfg, ascent="none"), generator(),
        )[0]  # fmt: skip
        after, finite = perturbation(
            constant, embeddings(), torch.zeros(N, 3), measure, MASK, cfg, generator()
        )
        assert finite
        torch.testing.assert_close(after, before)


def divergence_at(model, cfg, seeds=range(8)):
    with torch.no_grad():
        return sum(run(model, cfg, seed=s, embeds=embeddings(s))[1].loss.item() for s in seeds)


@pytest.mark.parametrize(("norm", "scope"), BALLS)
def test_more_steps_never_lower_the_divergence_on_average(trained, norm, scope):
    step = {"linf": 0.02, "l2": 0.05, "l1": 0.1}[norm]
    cfg = config(norm=norm, norm_scope=scope, epsilon=4 * step, step_size=step, sigma=1e-4, steps=0)
    values = [divergence_at(trained, replace(cfg, steps=k)) for k in range(5)]
    assert all(b >= a * (1 - 1e-3) for a, b in pairwise(values)), values
    assert values[-1] > 10 * values[0]


@pytest.mark.parametrize("epsilon", [1e-5, 1e-2])
@pytest.mark.parametrize("scope", ["token", "sentence"])
def test_gain_over_random_signs(trained, epsilon, scope):
    cfg = config(epsilon=epsilon, sigma=epsilon, step_size=100 * epsilon, norm_scope=scope)
    stats = run(trained, cfg, measure_gain=True)[1]
    assert stats.gain > 2
    assert stats.edge > 0.3
    torch.testing.assert_close(stats.gain, stats.loss / stats.random)


def test_without_projection_the_bound_is_broken(toy, monkeypatch):
    """The bound test's own test: the ancestor's missing projection would be seen."""
    monkeypatch.setattr("mt_dnn.smoothness.project", lambda delta, **_: delta)
    assert delta_of(toy, config()).abs().max() > 10 * 1e-5


# --- the term and its gradient


@pytest.mark.parametrize("detach_clean", [False, True])
@pytest.mark.parametrize("preset", ["smart", "freelb"])
def test_gradient_agrees_with_finite_differences(toy, preset, detach_clean):
    """Of R_s with respect to theta at fixed delta, float64; with detach_clean f(x) stays fixed too."""
    toy, embeds = toy.double(), embeddings().double()
    cfg = config(preset, epsilon=0.3, sigma=0.1, step_size=0.2, detach_clean=detach_clean)
    deltas = []

    def watched(x):
        deltas.append((x - embeds).detach())
        return toy(x)

    loss, _ = smoothness_loss(watched, embeds, toy(embeds), measure, MASK, cfg, generator())
    loss.backward()
    if preset == "smart":
        deltas = deltas[-1:]
    fixed = toy(embeds).detach()

    @torch.no_grad()
    def value():
        clean = fixed if detach_clean else toy(embeds)
        return torch.stack([measure(toy(embeds + d), clean) for d in deltas]).mean()

    torch.testing.assert_close(value(), loss.detach())
    for parameter in toy.parameters():
        flat, grad = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(0, len(flat), 7):
            h, old = 1e-5, flat[i].item()
            flat[i] = old + h
            up = value()
            flat[i] = old - h
            down = value()
            flat[i] = old
            torch.testing.assert_close((up - down) / (2 * h), grad[i], rtol=1e-5, atol=1e-9)


def test_gradient_reaches_both_sides_unless_detached(toy):
    def sides(cfg):
        clean = toy(embeddings()).detach().requires_grad_()
        toy.zero_grad()
        arguments = (toy, embeddings(), clean, measure, MASK, cfg, generator())
        smoothness_loss(*arguments)[0].backward()
        return toy.output.weight.grad.abs().max() > 0, clean.grad is not None

    assert sides(config()) == (True, True)
    assert sides(config(detach_clean=True)) == (True, False)


def test_word_embeddings_are_trained_and_the_noise_is_a_constant(toy):
    embeds = embeddings().requires_grad_()
    loss, _ = run(toy, config(epsilon=0.1, sigma=0.1, step_size=0.1), embeds=embeds)
    loss.backward()
    assert embeds.grad.abs().max() > 0
    assert embeds.grad[~MASK].abs().max() == 0


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_cost_of_the_ascent(toy, steps):
    """One forward per step and one for the term; no inner gradient for the weights."""
    clean = toy(embeddings())
    toy.calls = 0
    weight_gradients = []
    toy.hidden.weight.register_hook(lambda g: weight_gradients.append(g))
    arguments = (toy, embeddings(), clean, measure, MASK, config(steps=steps), generator())
    loss, _ = smoothness_loss(*arguments)
    assert toy.calls == steps + 1
    assert weight_gradients == []
    assert toy.hidden.weight.grad is None
    loss.backward()
    assert len(weight_gradients) == 1


def test_freelb_needs_one_forward_per_iterate(toy):
    clean = toy(embeddings())
    toy.calls = 0
    cfg = config("freelb", steps=3)
    smoothness_loss(toy, embeddings(), clean, measure, MASK, cfg, generator())
    assert toy.calls == 3


def test_works_without_ambient_gradients(toy):
    with torch.no_grad():
        stats = run(toy, config(), measure_gain=True)[1]
    assert stats.gain > 1


# --- dropout


def dropout_term(cfg, *, forward_of, seed=7):
    torch.manual_seed(3)
    model = Toy(dropout=0.5).train()
    embeds = embeddings()
    forward = forward_of(model)
    with replay(seed, "cpu"):
        clean = model(embeds)
    return model, smoothness_loss(forward, embeds, clean, measure, MASK, cfg, generator())[0]


def shared(model):
    def forward(embeds):
        with replay(7, "cpu"):
            return model(embeds)

    return forward


def test_shared_dropout_vanishes_with_the_radius():
    cfg = replace(config(), ascent="none", noise="zero")
    assert dropout_term(cfg, forward_of=shared)[1] == 0
    assert dropout_term(config(), forward_of=shared)[1] < 1e-8


def test_independent_dropout_measures_dropout_noise():
    assert dropout_term(config("rdrop"), forward_of=lambda model: model)[1] > 1e-3


def test_dropout_off_makes_its_own_clean_pass():
    def without(model):
        def forward(embeds):
            with dropout_off(model):
                return model(embeds)

        return forward

    cfg = replace(config(dropout="off"), ascent="none", noise="zero")
    model, loss = dropout_term(cfg, forward_of=without)
    assert loss == 0
    assert model.calls == 3  # the caller's clean pass, the term's own, the perturbed one
    assert model.training
    assert model.dropout.training


def test_replay_is_a_function_of_its_seed_and_leaves_no_trace():
    before = torch.get_rng_state()
    with replay(1, "cpu"):
        first = torch.rand(4)
    with replay(1, "cpu"):
        assert torch.equal(torch.rand(4), first)
    with replay(2, "cpu"):
        assert not torch.equal(torch.rand(4), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_measuring_the_gain_changes_nothing_else():
    torch.manual_seed(3)
    model = Toy(dropout=0.5)
    after = []
    for measured in (False, True):
        torch.manual_seed(4)
        noise = generator()
        arguments = (model, embeddings(), model(embeddings()), measure, MASK, config(), noise)
        loss, _ = smoothness_loss(*arguments, measure_gain=measured)
        after.append((loss.item(), torch.rand(1).item(), torch.rand(1, generator=noise).item()))
    assert after[0] == after[1]


# --- precision


def under_bfloat16(model, cfg):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return run(model, cfg, measure_gain=True)[1]


def test_float32_keeps_the_perturbation_under_autocast(trained):
    stats = under_bfloat16(trained, config())
    expected = run(trained, config(), measure_gain=True)[1]
    assert stats.gain > 2
    torch.testing.assert_close(stats.loss, expected.loss)


def test_autocast_rounds_the_perturbation_away(trained):
    rounded = under_bfloat16(trained, config(precision="autocast"))
    true = run(trained, config())[1].loss
    assert rounded.gain <= 1
    assert not 0.5 < rounded.loss / true < 2


def test_float32_costs_one_clean_forward_under_autocast_alone(toy):
    for enabled, calls in ((False, 2), (True, 3)):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            clean = toy(embeddings())
            toy.calls = 0
            smoothness_loss(toy, embeddings(), clean, measure, MASK, config(), generator())
        assert toy.calls == calls


# --- what is not finite


def gradients(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])


@pytest.mark.parametrize("preset", ["smart", "mtdnn_release", "freelb"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("call", [0, 1])
def test_a_bad_pass_drops_the_term_and_spares_the_rest(toy, preset, bad, call):
    """Call 0 is the ascent's pass, call 1 the last one; the supervised loss shares the clean logits."""
    embeds = embeddings()
    calls = []

    def breaking(x):
        calls.append(x)
        logits = toy(x)
        return logits + bad if len(calls) == call + 1 else logits

    clean = toy(embeds)
    loss, stats = smoothness_loss(
        breaking, embeds, clean, measure, MASK, config(preset), generator()
    )
    assert loss == 0
    assert stats.dropped == 1
    (clean.square().sum() + loss).backward()
    combined = gradients(toy)
    toy.zero_grad()
    toy(embeds).square().sum().backward()
    torch.testing.assert_close(combined, gradients(toy))


@pytest.mark.parametrize("preset", ["smart", "mtdnn_release", "freelb"])
def test_a_bad_inner_gradient_drops_the_term(toy, preset):
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * math.nan

    embeds = embeddings()
    calls = []

    def breaking(x):
        calls.append(x)
        return toy(Broken.apply(x) if len(calls) == 1 else x)

    loss, stats = smoothness_loss(
        breaking, embeds, toy(embeds), measure, MASK, config(preset), generator()
    )
    loss.backward()
    assert (loss.item(), stats.dropped.item()) == (0, 1)
    assert torch.equal(calls[-1], embeds)  # no perturbation left
    assert gradients(toy).abs().max() == 0


def test_health_of_a_good_batch(toy):
    stats = run(toy, config(epsilon=0.1, sigma=0.0, noise="normal", ascent="none"))[1]
    assert (stats.delta_ratio, stats.edge, stats.dropped, stats.loss) == (0, 0, 0, 0)
    stats = run(toy, config("mtdnn_release", norm="l2"))[1]
    assert stats.edge == 1
    real = embeddings()[MASK]
    expected = math.sqrt(len(real)) / real.norm().item()
    assert stats.delta_ratio.item() == pytest.approx(expected, rel=1e-4)
    assert stats.gain is None
