"""Combinations of gradients whose weights depend on their inner products alone, computed by torchjd.

torchjd is an optional package, imported when a combination is built.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from mt_dnn.randomness import seeded_rng
from mt_dnn.training.gradients import Gradients


class GramianCombination:
    """Weigh the tasks' gradients by a weighting of ``torchjd.aggregation``, of their Gramian G = J J^T.

    The result is sum_k w_k g_k. Weights do not depend on the scale of the gradients: G is divided by its trace.
    Gradients that are exactly 0 take no part, because a batch without labels has one. With a single gradient,
    or one that is not finite, the result is the sum.

    A subclass names the weighting, and passes its options on:

    Example::

        @COMBINATIONS.register("dual_proj")
        class DualProj(GramianCombination):
            \"\"\"The mean gradient, projected onto what harms no task.\"\"\"

            weighting = "DualProjWeighting"

    Raises:
        UserError: torchjd or a package that the weighting needs is not installed, or an option is out of range.
    """

    weighting: ClassVar[str]
    """Name of the weighting in ``torchjd.aggregation``."""
    is_mean: ClassVar[bool] = True
    """Whether equally long orthogonal gradients have the weights 1/K. They are then multiplied by K, so that
    the result has the scale of the sum."""
    modules: ClassVar[tuple[str, ...]] = ()
    """Modules that the weighting needs besides torchjd."""
    extra: ClassVar[str] = ""
    """The extra of torchjd that installs them."""

    def __init__(self, **options: Any) -> None:
        missing = [name for name in ("torchjd", *self.modules) if find_spec(name) is None]
        if missing:
            extra = f"[{self.extra}]" if self.extra else ""
            raise UserError(
                f"optim.combine: {type(self).__name__} needs {' and '.join(missing)}, not installed here; "
                f'run: pip install "torchjd{extra}>=0.18"'
            )
        build = getattr(import_module("torchjd.aggregation"), self.weighting)
        known = signature(build).parameters
        for option in options:
            if option not in known:
                choices = choices_hint(option, known) if known else " It has no options."
                raise UserError(
                    f"optim.combine_options: {type(self).__name__} has no option {option!r}.{choices}"
                )
        try:
            self.compute_weights = build(**options)
        except ValueError as error:
            raise UserError(f"optim.combine_options: {error}") from None

    def __call__(self, gradients: Gradients) -> Tensor:
        """Return the combined gradient, (P,). Waits for the device: weights are computed on the host."""
        gramian = gradients.gramian.cpu().double()  # (K, K)
        taking_part = gramian.diagonal() > 0
        weights = torch.ones(len(gramian), dtype=torch.float64)
        number = int(taking_part.sum())
        if number > 1 and gramian.isfinite().all():
            own = gramian[taking_part][:, taking_part]
            with seeded_rng(gradients.seed, "cpu"):  # PCGrad draws from the global generator
                found = self.compute_weights(own / own.trace())
            weights[taking_part] = found * number if self.is_mean else found
        return gradients.weighted(weights)


class PCGrad(GramianCombination):
    """Project each task's gradient off those it conflicts with, in random order (arXiv 2001.06782, algorithm 1)."""

    weighting = "PCGradWeighting"
    is_mean = False


class CAGrad(GramianCombination):
    """Raise the least improvement of a task near the mean gradient (CAGrad, arXiv 2110.14048, algorithm 1)."""

    weighting = "CAGradWeighting"
    modules = ("cvxpy", "clarabel")
    extra = "cagrad"

    def __init__(self, *, c: float = 0.4) -> None:
        super().__init__(c=c)


class IMTLG(GramianCombination):
    """Equal projections on all tasks' unit gradients (IMTL-G, Liu et al., ICLR 2021)."""

    weighting = "IMTLGWeighting"


class MGDA(GramianCombination):
    """The shortest vector in the convex hull of the gradients (MGDA, arXiv 1810.04650, algorithm 2)."""

    weighting = "MGDAWeighting"

    def __init__(self, *, epsilon: float = 0.001, max_iters: int = 100) -> None:
        super().__init__(epsilon=epsilon, max_iters=max_iters)


class UPGrad(GramianCombination):
    """Project each gradient onto what harms no task, then average (UPGrad, arXiv 2406.16232)."""

    weighting = "UPGradWeighting"
    modules = ("qpsolvers", "quadprog")
    extra = "quadprog-projector"


class AlignedMTL(GramianCombination):
    """Equal singular values for the matrix of gradients (Aligned-MTL, arXiv 2305.19000, algorithm 1)."""

    weighting = "AlignedMTLWeighting"

    def __init__(self, *, scale_mode: Literal["min", "median", "rmse"] = "min") -> None:
        super().__init__(scale_mode=scale_mode)
