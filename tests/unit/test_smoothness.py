"""R_s on a toy network: the term, its gradient, its cost, what is dropped."""

import math

import pytest
import torch

from mt_dnn.divergences import kl
from mt_dnn.objective.smoothness import smoothness_loss
from tests.support.toy_network import MASK, config, embeddings, generator, measure, run

# --- the term and its gradient


@pytest.mark.parametrize("detach", ["none", "clean"])
@pytest.mark.parametrize("preset", ["smart", "freelb"])
def test_gradient_agrees_with_finite_differences(toy, preset, detach):
    """Of R_s with respect to theta at fixed delta, float64; with detach clean f(x) stays fixed too."""
    toy, embeds = toy.double(), embeddings().double()
    cfg = config(preset, epsilon=0.3, sigma=0.1, step_size=0.2, detach=detach)
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
        clean = fixed if detach == "clean" else toy(embeds)
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
    assert sides(config(detach="clean")) == (True, False)
    assert sides(config(detach="own_target")) == (True, True)


def halves(p, q):
    return kl(p, q).mean()


@pytest.mark.parametrize("half", [halves, None], ids=["kl", "l_s / 2"])
@pytest.mark.parametrize("preset", ["smart", "freelb"])
def test_own_target_keeps_the_value_and_halves_the_gradient_of_both_sides(toy, preset, half):
    toy, embeds = toy.double(), embeddings().double()

    def sides(detach):
        """The value, and the gradients of f(x) and f(x~)."""
        clean = toy(embeds).detach().requires_grad_()
        perturbed = []

        def forward(x):
            perturbed.append(toy(x))
            perturbed[-1].retain_grad()
            return perturbed[-1]

        cfg = config(preset, epsilon=1e-4, sigma=1e-5, step_size=1e-4, detach=detach)
        loss, _ = smoothness_loss(
            forward, embeds, clean, measure, MASK, cfg, generator(), half=half
        )
        loss.backward()
        return loss, clean.grad, perturbed[-1].grad

    (value, *full), (own, *parts) = sides("none"), sides("own_target")
    torch.testing.assert_close(own, value)
    for whole, part in zip(full, parts, strict=True):
        assert (part - whole / 2).norm() < 1e-3 * whole.norm()
        exact = half is None
        assert torch.allclose(part, whole / 2, rtol=1e-12, atol=0) == exact


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
