"""The picture of SMART's perturbation: one ascent step in a ball of two dimensions.

``python -m website.ball`` writes docs/images/ball.svg. Divergence, gradient, step and projection are
computed by the functions that training uses, for a network of two inputs and two classes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from torch import Tensor

from mt_dnn.divergences import symmetric_kl
from mt_dnn.objective.norm_ball import project, unit

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "ball.svg"
EPSILON = 1.0
STEP = 1.5
"""eta in units of epsilon. The paper's is 100, whose arrow would leave the picture."""
NU = (-0.35, -0.25)
"""The initial noise, drawn once."""
INPUT = torch.tensor([0.2, -0.1])
HIDDEN = torch.tensor([[1.1, 0.5], [-0.4, 1.3], [0.7, -0.9]])
OUTPUT = torch.tensor([[0.9, -0.6, 0.8], [-0.7, 1.0, -0.3]])


class Ascent(NamedTuple):
    """The points of one step, each (2,)."""

    noise: Tensor
    stepped: Tensor
    """After the step of length eta along the normalized gradient."""
    projected: Tensor


def divergence(delta: Tensor) -> Tensor:
    """l_s( f(x + delta), f(x) ) of perturbations (N, 2): (N,)."""
    outside = torch.tanh((INPUT + delta) @ HIDDEN.T) @ OUTPUT.T  # (N, 2)
    clean = (torch.tanh(INPUT @ HIDDEN.T) @ OUTPUT.T).expand_as(outside)
    return symmetric_kl(outside, clean, dim=-1, mask=None)


def ascend() -> Ascent:
    """Compute one step of Algorithm 1 of the paper from the initial noise."""
    delta = torch.tensor([NU]).mul(EPSILON).requires_grad_()  # (1, 2)
    (gradient,) = torch.autograd.grad(divergence(delta).sum(), delta)
    one_token = {"norm": "linf", "scope": "sentence"}
    moved = delta.detach() + STEP * EPSILON * unit(gradient[None], **one_token)[0]
    inside = project(moved[None], epsilon=EPSILON, mask=torch.ones(1, 1), **one_token)[0]
    return Ascent(delta.detach()[0], moved[0], inside[0])


def draw() -> Figure:
    """Draw the divergence around x, both balls, and the step."""
    figure = Figure(figsize=(6.8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    across, up = torch.linspace(-2.3, 1.7, 61), torch.linspace(-1.4, 1.6, 46)
    grid = torch.cartesian_prod(across, up)  # (61 * 46, 2)
    height = divergence(grid).view(len(across), len(up)).T
    filled = axes.contourf(across, up, height, levels=9, cmap="Blues", alpha=0.8)
    figure.colorbar(filled, label="divergence of the two predictions, $\\ell_s$")
    ball: dict[str, Any] = {"fill": False, "linewidth": 1.8, "edgecolor": "black"}
    axes.add_patch(Rectangle((-EPSILON, -EPSILON), 2 * EPSILON, 2 * EPSILON, **ball))
    axes.add_patch(Circle((0, 0), EPSILON, linestyle=":", **ball))
    noise, stepped, projected = ((float(x), float(y)) for x, y in ascend())
    for start, end, style in ((noise, stepped, "-"), (stepped, projected, "--")):
        arrow = {"arrowstyle": "->", "linestyle": style, "linewidth": 1.8, "color": "tab:red"}
        axes.annotate("", end, start, arrowprops=arrow)
    axes.plot(*zip((0, 0), noise, projected, strict=True), "o", color="tab:red")
    axes.plot(0, 0, "o", color="black")
    labels: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
        "$x$": ((0, 0), (8, 6)),
        "1. noise $\\nu$": (noise, (-16, -20)),
        "2. step $\\eta$ along the gradient": (stepped, (-30, 26)),
        "3. projection": (projected, (10, -12)),
    }
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
    for text, (point, offset) in labels.items():
        axes.annotate(text, point, offset, textcoords="offset points", bbox=box)
    axes.set(aspect="equal", xlabel="$\\delta_1 / \\epsilon$", ylabel="$\\delta_2 / \\epsilon$")
    axes.set_title(
        "max-norm ball (square) and Euclidean ball (dotted) of radius $\\epsilon$", size=10
    )
    return figure


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PICTURE, help="The SVG file to write.")
    options = parser.parse_args()
    with rc_context({"svg.hashsalt": "ball"}):
        draw().savefig(options.out, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
