"""The norm balls of the perturbation: projection, unit steps, random signs."""

import pytest
import torch

from mt_dnn.objective.norm_ball import norms, project, random_signs_like, unit
from tests.support.toy_network import BALLS, MASK, E, N, T, embeddings, generator


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
    signs = random_signs_like(delta, norm=norm, generator=generator())
    torch.testing.assert_close(
        norms(signs, norm=norm, scope="token"), norms(delta, norm=norm, scope="token")
    )
    assert signs[~MASK].abs().max() == 0
    real = signs[MASK].abs()
    torch.testing.assert_close(real, real[:, :1].expand_as(real))
