"""R_s, D_Breg, SAN and distillation against tests/reference, in float64, for every task type.

Values and gradients agree to 1e-10 of their size. The settings are read as the package resolves them. The
model and its dropout are the package's: the reference gets them as a function of the embeddings.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from data_utils.collator import IGNORE, Batch
from data_utils.errors import UserError
from mt_dnn.config.run import ModelConfig
from mt_dnn.config.smart import PRESETS, ProximalConfig, SmoothnessConfig, resolve
from mt_dnn.encoders.load import load_encoder
from mt_dnn.heads.mask_lm import MASKED_AT
from mt_dnn.heads.san import SANHead
from mt_dnn.model import MTDNN
from mt_dnn.objective.smart import ProximalTerm, SmoothnessTerm
from mt_dnn.objective.terms import Step
from mt_dnn.registries import TASK_TYPES
from tests.reference import divergences, proximal, san, smoothness
from tests.support.batches import make_batch
from tests.support.encoders import VOCAB, tiny_encoder, tiny_t5
from tests.support.tasks import make_task
from tests.support.words import Words

REFERENCE = Path(__file__).parents[1] / "reference"
TYPES = [name for name in TASK_TYPES.names() if TASK_TYPES.is_builtin(name)]
LENGTHS = [5, 3, 4, 2, 5]


def test_the_reference_imports_nothing_of_the_packages():
    allowed = {"__future__", "collections", "dataclasses", "re", "string", "torch"}
    files = sorted(REFERENCE.glob("*.py"))
    assert len(files) == 9
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed, path
            elif isinstance(node, ast.ImportFrom):
                assert str(node.module).split(".")[0] in allowed, path


# A float64 model and a batch of every task type.


@pytest.fixture(scope="module")
def t5(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("t5")
    tiny_t5(folder, vocab_size=20)
    return folder


@pytest.fixture
def build(t5) -> Callable[..., tuple[MTDNN, Batch]]:
    def build(task_type: str, *, train: bool = True, **task: object) -> tuple[MTDNN, Batch]:
        generation = task_type == "SequenceGeneration"
        encoder = load_encoder(str(t5)) if generation else tiny_encoder()
        tokenizer = Words() if generation else None
        tasks = {"t": make_task(task_type, **task)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            model = MTDNN(encoder, tasks, ModelConfig(), tokenizer).double()
        generator = torch.Generator().manual_seed(4)
        with torch.no_grad():  # the heads start near 0, where divergences are tiny
            for p in model.heads.parameters():
                p += 0.3 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
        if task_type == "MaskLM":
            model.task_types["t"].prepare = lambda batch, seed: batch
        return model.train(train), batch_of(task_type, 20 if generation else VOCAB)

    return build


def batch_of(task_type: str, vocabulary: int) -> Batch:
    candidates = None
    lengths = LENGTHS[:3]
    labels: object = [0, 2, 1]
    extras: dict[str, list] = {}
    if task_type == "Regression":
        labels = [0.5, 1.5, -1.0]
    elif task_type == "MultiLabel":
        labels = [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    elif task_type in ("Ranking", "MultipleChoice", "ClozeChoice"):
        lengths, candidates = LENGTHS, [2, 2, 1]
        labels = [[1, 0], [0, 1], [1, IGNORE]]
    elif task_type == "SequenceLabeling":
        labels = [
            [IGNORE, 2, IGNORE, 0, IGNORE],
            [IGNORE, 1, *[IGNORE] * 3],
            [IGNORE, 0, 1, *[IGNORE] * 2],
        ]
    elif task_type == "MaskLM":
        labels = [[3, 7], [9, IGNORE], [4, IGNORE]]
        extras = {MASKED_AT: [torch.tensor(at).numpy() for at in ([1, 3], [1], [2])]}
    elif task_type in ("Span", "SpanYN"):
        labels = [[1, 3], [0, 0], [2, 2]]
    elif task_type == "SequenceGeneration":
        labels = [[7, 8, 1], [5, 1, IGNORE], [1, IGNORE, IGNORE]]
    return make_batch(
        lengths, ids=(2, vocabulary), candidates=candidates, labels=labels, extras=extras
    )


def l_s(task_type: str, batch: Batch, name: str | None) -> Callable[[Tensor, Tensor], Tensor]:
    """The reference's divergence of a task type; ``name`` is ignored by numbers."""
    name = (name or "symmetric_kl").removeprefix("bernoulli_")
    present = batch.attention_mask.bool()
    if task_type == "Regression":
        return divergences.numbers
    if task_type == "MultiLabel":
        return lambda p, q: divergences.labels(name, p, q)
    if task_type in ("Ranking", "MultipleChoice", "ClozeChoice"):
        return lambda p, q: divergences.candidates(name, p, q, batch.candidate_mask)
    if task_type in ("Span", "SpanYN"):
        return lambda p, q: divergences.spans(name, p, q, present)
    if task_type in ("SequenceLabeling", "MaskLM", "SequenceGeneration"):
        return lambda p, q: divergences.tokens(name, p, q, batch.labels != IGNORE)
    return lambda p, q: divergences.classes(name, p, q)


def half_of(task_type: str, batch: Batch, name: str | None) -> Callable[[Tensor, Tensor], Tensor]:
    """The divergence of which l_s is the sum in both directions: KL, or half of a symmetric one."""
    if (name or "symmetric_kl") == "symmetric_kl" and task_type != "Regression":
        return l_s(task_type, batch, "kl")
    return lambda target, logits: l_s(task_type, batch, name)(target, logits) / 2


def gradients(value: Tensor, model: MTDNN, embeds: Tensor) -> dict[str, Tensor]:
    """Gradients of a scalar with respect to the embeddings and to every parameter that it has."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(value, [embeds, *parameters], allow_unused=True)
    pairs = zip(["embeds", *names], found, strict=True)
    return {name: gradient for name, gradient in pairs if gradient is not None}


def same(found: Tensor, expected: Tensor, tolerance: float = 1e-10) -> bool:
    """Whether a tensor differs by at most ``tolerance`` of the other's size."""
    return bool((found - expected).norm() <= tolerance * expected.norm())


def assert_same_gradients(
    found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float
) -> None:
    largest = max(gradient.norm() for gradient in expected.values())
    for name in found.keys() | expected.keys():
        zero = torch.zeros(())
        difference = (found.get(name, zero) - expected.get(name, zero)).norm()
        # Some gradients are 0 but for rounding, such as that of a bias before a softmax.
        allowed = tolerance * max(expected.get(name, zero).norm(), 0.01 * largest)
        assert difference <= max(allowed, 2e-16), name


# R_s.


def r_s_of_both(
    model: MTDNN, batch: Batch, task_type: str, config: SmoothnessConfig
) -> tuple[Tensor, Tensor, Tensor, Tensor, Step, Step]:
    """R_s and delta: those of the package and of the reference, each with the step of its graph."""
    step, twin = (Step.from_batch(model, batch, seed=7) for _ in range(2))
    term = SmoothnessTerm(model, config)
    c = term.config
    value = term.compute(step)

    def f(embeds: Tensor) -> Tensor:
        if c.space == "words":
            return twin.forward(embeds, dropout=c.dropout)
        return twin.forward(twin.embeds, dropout=c.dropout, shift=embeds)

    # Each pass computes the output of the embedding block with its own masks, so x is inside of f.
    x = twin.embeds if c.space == "words" else torch.zeros_like(twin.hidden)
    noise = torch.zeros_like(x)
    generator = twin.generator(1)
    if c.noise == "normal":
        noise.normal_(0, c.sigma, generator=generator)
    elif c.noise == "uniform":
        noise.uniform_(-c.sigma, c.sigma, generator=generator)
    settings = smoothness.Settings(
        ascent=c.ascent,
        epsilon=c.epsilon,
        eta=c.step_size,
        steps=c.steps,
        norm=c.norm,
        scope=c.norm_scope,
        detach=c.detach,
    )
    clean = f(x) if c.dropout == "off" else twin.logits
    expected, delta = smoothness.r_s(
        f,
        x,
        clean,
        l_s(task_type, batch, c.divergence),
        batch.attention_mask,
        noise,
        settings,
        half_of(task_type, batch, c.divergence),
    )
    ours = SmoothnessTerm(model, config).perturbation(Step.from_batch(model, batch, seed=7))
    return value, expected, ours, delta, step, twin


def check_r_s(
    model: MTDNN,
    batch: Batch,
    task_type: str,
    config: SmoothnessConfig,
    tolerance: float = 1e-10,
) -> None:
    value, expected, ours, delta, step, twin = r_s_of_both(model, batch, task_type, config)
    assert value > 0
    assert same(value, expected, tolerance), (value.item(), expected.item())
    if config.ascent != "accumulated":  # there the package's method takes one more step
        assert same(ours, delta, tolerance)
    assert_same_gradients(
        gradients(value, model, step.embeds),
        gradients(expected, model, twin.embeds),
        tolerance,
    )


SIZES = {
    ("linf", "token"): 0.1,
    ("linf", "sentence"): 0.1,
    ("l2", "token"): 0.4,
    ("l2", "sentence"): 1.0,
    ("l1", "token"): 2.0,
    ("l1", "sentence"): 5.0,
}
"""Radii that bind: the noise lies outside of most of these balls."""


COMPARED = sorted(PRESETS.keys() - {"off"})


def large(preset: str = "smart", **changes: object) -> SmoothnessConfig:
    """A preset whose radius is large enough that plain formulas keep ten digits."""
    preset_has = PRESETS[preset][0]
    norm = changes.get("norm", preset_has.norm)
    scope = changes.get("norm_scope", preset_has.norm_scope)
    size = SIZES[norm, scope] if preset_has.ascent != "none" else 0.05
    sizes = {"epsilon": size, "step_size": 0.8 * size, "sigma": 0.05}
    if preset_has.noise == "zero":
        del sizes["sigma"]
    return resolve(preset, SmoothnessConfig(**sizes | changes), ProximalConfig())[0]


@pytest.mark.parametrize("task_type", TYPES)
@pytest.mark.parametrize("scope", ["token", "sentence"])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_r_s_of_every_type_norm_and_scope(build, task_type, norm, scope):
    model, batch = build(task_type)
    check_r_s(model, batch, task_type, large(norm=norm, norm_scope=scope, steps=2))


@pytest.mark.parametrize("task_type", TYPES)
@pytest.mark.parametrize("preset", COMPARED)
def test_r_s_of_every_type_and_preset(build, task_type, preset):
    model, batch = build(task_type)
    if preset == "mtdnn_release" and task_type == "SequenceGeneration":
        with pytest.raises(UserError, match="embedding_output"):  # T5 has no embedding block
            SmoothnessTerm(model, large(preset))
        return
    check_r_s(model, batch, task_type, large(preset))


@pytest.mark.parametrize("task_type", [name for name in TYPES if name != "SequenceGeneration"])
@pytest.mark.parametrize("ascent", ["projected", "normalized", "accumulated"])
def test_r_s_of_every_type_on_the_output_of_the_embedding_block(build, task_type, ascent):
    model, batch = build(task_type)
    config = large(space="embedding_output", ascent=ascent, steps=2, norm_scope="token")
    check_r_s(model, batch, task_type, config)


@pytest.mark.parametrize("task_type", TYPES)
@pytest.mark.parametrize("detach", ["none", "own_target"])
def test_r_s_of_every_type_with_normalized_ascent(build, task_type, detach):
    model, batch = build(task_type)
    config = large(ascent="normalized", detach=detach, steps=2, norm_scope="token")
    # T5's LayerNorm computes its variance in float32, so a last digit of delta is seen in the seventh.
    tolerance = 1e-7 if task_type == "SequenceGeneration" else 1e-10
    check_r_s(model, batch, task_type, config, tolerance)


@pytest.mark.parametrize("dropout", ["shared", "independent", "off"])
@pytest.mark.parametrize("ascent", ["projected", "normalized", "accumulated", "none"])
@pytest.mark.parametrize("detach", ["none", "clean", "own_target"])
def test_r_s_of_every_ascent_and_dropout(build, ascent, dropout, detach):
    model, batch = build("Classification")
    config = large(ascent=ascent, dropout=dropout, detach=detach, steps=3, norm="l2")
    check_r_s(model, batch, "Classification", config)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_r_s_of_noise_that_is_projected_without_a_step(build, norm):
    model, batch = build("Classification")
    config = large(steps=0, norm=norm, epsilon=0.01)
    check_r_s(model, batch, "Classification", config)


@pytest.mark.parametrize("preset", COMPARED)
def test_r_s_with_the_printed_radius(build, preset):
    """The plain formulas lose digits at 1e-5, most of all those that cancel: JS and Hellinger."""
    model, batch = build("Classification", train=preset == "rdrop")
    config = resolve(preset, SmoothnessConfig(), ProximalConfig())[0]
    digits = 1e-3 if config.divergence in ("js", "hellinger") else 1e-5
    value, expected, ours, delta, _, _ = r_s_of_both(model, batch, "Classification", config)
    assert abs(value - expected) <= 1e-10
    assert same(value, expected, digits)
    if config.ascent != "accumulated":
        assert same(ours, delta, digits)


# Projections.


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("size", [0.1, 1.0, 10.0])
def test_projections_are_the_nearest_points_of_the_ball(norm, size):
    """No random point of the ball is nearer, and points inside stay."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        v = size * torch.randn(6, generator=generator, dtype=torch.float64)
        found = smoothness.project_vector(v, 1.0, norm)
        assert smoothness.p_norm(found, norm) <= 1 + 1e-12
        if smoothness.p_norm(v, norm) <= 1:
            assert torch.equal(found, v)
        points = torch.randn(200, 6, generator=generator, dtype=torch.float64)
        for point in points:
            point = point / max(smoothness.p_norm(point, norm).item(), 1.0)
            assert (v - found).norm() <= (v - point).norm() + 1e-12


# D_Breg.


def trained(model: MTDNN, config: ProximalConfig, total: int) -> tuple[ProximalTerm, list]:
    """A term after 5 updates of its model, and the model's weights before and after each."""
    term, thetas = ProximalTerm(model, config), [weights(model)]
    for update in range(1, 6):
        move(model, update)
        term.after_update(update, total)
        thetas.append(weights(model))
    return term, thetas


@pytest.mark.parametrize("teacher", ["mbpp", "vbpp"])
def test_the_teacher_of_d_breg(build, teacher):
    model, _ = build("Classification")
    config = ProximalConfig(teacher=teacher, steps=2, beta=0.7, beta_late=0.9)
    term, thetas = trained(model, config, 20)
    # beta_switch is a tenth of the run: two updates.
    assert [proximal.momentum(n, 20, 0.7, 0.9, 0.1) for n in range(1, 6)] == [0.7] * 2 + [0.9] * 3
    betas = [proximal.momentum(n, 20, 0.7, 0.9, term.config.beta_switch) for n in range(1, 6)]
    expected = proximal.teachers(thetas, 2, betas, teacher == "vbpp")[-1]
    for name, value in term.teacher.state_dict().items():
        assert same(value, expected[name], 1e-12), name


def test_the_teacher_that_averages_over_a_part_of_the_run(build):
    model, _ = build("Classification")
    term, thetas = trained(model, ProximalConfig(horizon=0.15), 20)
    betas = [proximal.horizon_momentum(n, 20, 1, 0.15) for n in range(1, 6)]
    assert betas == pytest.approx([1 / 2, 2 / 3, 2 / 3, 2 / 3, 2 / 3])
    expected = proximal.teachers(thetas, 1, betas, False)[-1]
    for name, value in term.teacher.state_dict().items():
        assert same(value, expected[name], 1e-12), name


@pytest.mark.parametrize("task_type", TYPES)
@pytest.mark.parametrize("dropout", ["shared", "off", "independent"])
def test_d_breg_of_every_type_and_dropout(build, task_type, dropout):
    model, batch = build(task_type)
    config = ProximalConfig(beta=0.7, beta_late=0.9, dropout=dropout)
    term, thetas = trained(model, config, 20)
    theta_tilde = proximal.teachers(thetas, 1, [0.7, 0.7, 0.9, 0.9, 0.9], False)[-1]
    step, twin = (Step.from_batch(model, batch, seed=7) for _ in range(2))
    other = copy.deepcopy(model)
    other.load_state_dict(theta_tilde, strict=False)
    if dropout != "shared":
        other.eval()
    with torch.no_grad():  # the seed of the step gives the masks of the clean pass
        teacher = Step.from_batch(other, batch, seed=7).logits
    student = twin.forward(twin.embeds, dropout="off") if dropout == "off" else twin.logits
    expected = proximal.d_breg(student, teacher, l_s(task_type, batch, None))
    value = term.compute(step)
    assert value > 0
    assert same(value, expected)
    assert_same_gradients(
        gradients(value, model, step.embeds), gradients(expected, model, twin.embeds), 1e-10
    )


def weights(model: MTDNN) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def move(model: MTDNN, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.05 * torch.randn(p.shape, generator=generator, dtype=p.dtype)


# Divergences alone, SAN.


@pytest.mark.parametrize("name", ["symmetric_kl", "kl", "js", "hellinger", "squared_error"])
@pytest.mark.parametrize(
    "task_type", ["Classification", "Ranking", "SequenceLabeling", "Span", "MaskLM", "MultiLabel"]
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
