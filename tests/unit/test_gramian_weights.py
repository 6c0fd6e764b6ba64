"""torchjd's combinations on gradients whose combination is known, in float64."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn

from data_utils.errors import UserError
from mt_dnn.config.run import OptimConfig
from mt_dnn.registries import COMBINATIONS
from mt_dnn.training import gramian_weights
from mt_dnn.training.gradients import Gradients, TaskGradients, build_combination

pytest.importorskip("torchjd")
BUILT_IN = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            any(find_spec(module) is None for module in COMBINATIONS.source(name).modules),
            reason=f"without the packages of {name}",
        ),
    )
    for name in ("pcgrad", "cagrad", "imtl_g", "mgda", "upgrad", "aligned_mtl")
]


def combined(name: str, *rows: list[float], seed: int = 0, scale: float = 1.0, **options) -> Tensor:
    build = build_combination(OptimConfig(combine=name, combine_options=options))
    assert build is not None
    tensors = tuple(scale * torch.tensor(row, dtype=torch.float64) for row in rows)
    tasks = tuple("abcdef"[: len(rows)])
    return build(Gradients(tensors, tasks, seed)) / scale


CONFLICT = ([2.0, 0.0], [-1.0, 1.0])
"""<a, b> = -2, |a|^2 = 4, |b|^2 = 2."""
KNOWN = {
    # a + <-a,b>/|b|^2 b = a + b = (1, 1); b + a/2 = (0, 1); their sum
    "pcgrad": [1.0, 2.0],
    # The same two projections: with two gradients, the cone's faces are the gradients themselves.
    "upgrad": [1.0, 2.0],
    # alpha = <b - a, b> / |b - a|^2 = 4/10 of a, 6/10 of b: (0.2, 0.6), times K = 2
    "mgda": [0.4, 1.2],
    # w_a |a| = w_b |b| makes the projections on both unit gradients equal: the bisector
    "imtl_g": None,
    # The matrix (a, b) = U S V^T becomes s_min U V^T; mean of its rows, times K
    "aligned_mtl": None,
    # g_0 + c |g_0| g_w / |g_w|, where g_w is least in <g_w, g_0> + c |g_0| |g_w|
    "cagrad": None,
}


def expected(name: str, *rows: list[float], c: float = 0.4) -> Tensor:
    """The result of the method on two gradients from its own definition, without a Gramian."""
    matrix = torch.tensor(rows, dtype=torch.float64)  # (K, P)
    if KNOWN[name] is not None:
        return torch.tensor(KNOWN[name], dtype=torch.float64)
    if name == "imtl_g":
        norms = matrix.norm(dim=1)
        weights = norms.flip(0) / norms.sum()
        return 2 * weights @ matrix
    if name == "aligned_mtl":
        u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
        return s.min() * (u @ vh).sum(0)
    mean = matrix.mean(0)
    shares = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    mixed = shares.outer(matrix[0]) + (1 - shares).outer(matrix[1])
    costs = mixed @ mean + c * mean.norm() * mixed.norm(dim=1)
    best = mixed[costs.argmin()]
    return 2 * (mean + c * mean.norm() * best / best.norm())


@pytest.mark.parametrize("name", BUILT_IN)
def test_two_tasks_in_conflict_have_the_methods_own_solution(name):
    options = {"c": 0.4} if name == "cagrad" else {}
    found = combined(name, *CONFLICT, **options)
    # The solvers of UPGrad and CAGrad stop at about 1e-4.
    rough = {"rtol": 0, "atol": 2e-3} if name in ("upgrad", "cagrad") else {}
    torch.testing.assert_close(found, expected(name, *CONFLICT), **rough)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("number", [1, 3])
def test_orthogonal_gradients_of_equal_length_are_summed(name, number):
    """So the scale is that of ``sum``; CAGrad adds its c."""
    rows = [[3.0 * float(i == j) for j in range(4)] for i in range(number)]
    found = combined(name, *rows)
    larger = 1.4 if name == "cagrad" and number > 1 else 1.0
    torch.testing.assert_close(found, larger * torch.tensor(rows).double().sum(0))


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_scale_of_the_gradients_does_not_matter(name):
    """torchjd's own thresholds take small gradients for 0."""
    rows = [[1.0, 2.0, 0.0], [-2.0, 0.5, 1.0], [0.3, 0.3, -3.0]]
    for scale in (1e-8, 65536.0):  # small gradients; the factor of fp16
        torch.testing.assert_close(
            combined(name, *rows, scale=scale), combined(name, *rows), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_batch_without_labels_takes_no_part(name):
    """MGDA would otherwise stand still: 0 is the shortest vector."""
    with_zero = combined(name, CONFLICT[0], [0.0, 0.0], CONFLICT[1])
    torch.testing.assert_close(with_zero, combined(name, *CONFLICT))


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_gradient_that_is_not_finite_stays_so(name):
    """The check on the gradient's norm, or fp16's scaler, finds it."""
    assert not combined(name, [1.0, float("inf")], [0.0, 1.0]).isfinite().all()


def test_pcgrad_draws_its_order_from_the_updates_seed():
    rows = ([1.0, 0.0], [-1.0, 0.2], [-1.0, -0.3])
    before = torch.get_rng_state()
    found = [combined("pcgrad", *rows, seed=seed) for seed in range(20)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    again = [combined("pcgrad", *rows, seed=seed) for seed in range(20)]
    assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))
    assert len({tuple(one.tolist()) for one in found}) > 1


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name.values != ("imtl_g",)])
def test_descent_on_two_quadratics_ends_where_no_task_can_gain(name):
    """|x - p|^2 / 2 and 2 |x - q|^2 conflict between p and q: that segment is the Pareto set.

    There the gradients are collinear, where IMTL-G is not defined: the bisector of opposite vectors.
    """
    p, q = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double()
    x = nn.Parameter(torch.tensor([0.8, 0.5]).double())
    collected = TaskGradients([x], build_combination(OptimConfig(combine=name)))
    for update in range(40):
        for task, loss in (("a", (x - p).square().sum() / 2), ("b", 2 * (x - q).square().sum())):
            loss.backward()
            collected.take(task)
        figures = collected.put(seed=update)
        with torch.no_grad():
            x -= 0.1 * x.grad
        x.grad = None
    along, across = x.tolist()
    assert abs(across) < 0.03
    assert -1 <= along <= 1
    assert figures["train/cosine/a/b"] < -0.99


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(gramian_weights, "find_spec", lambda name: None)
    message = r"optim.combine: CAGrad needs torchjd and cvxpy and clarabel.*pip install .torchjd\[cagrad\]>=0.18"
    with pytest.raises(UserError, match=message):
        build_combination(OptimConfig(combine="cagrad"))


def test_an_option_out_of_range_is_refused():
    with pytest.raises(UserError, match=r"optim.combine_options: max_iters must be"):
        combined("mgda", *CONFLICT, max_iters=0)
