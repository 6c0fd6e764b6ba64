"""Divergences between two predictions, for SMART's l_s, D_Breg and distillation.

Every function takes two tensors of *logits* with the same shape and sums over the distribution along
``dim``. The caller takes the mean over examples. All functions

* compute in float32 or wider (float64 stays float64), whatever the dtype of the logits, and also
  under autocast;
* are non-negative up to rounding; at equal logits the value and the gradient are exactly 0. The
  textbook formulas lose their accuracy by cancellation near equality, which is where SMART uses them
  (a radius of 1e-5 gives a divergence of about 1e-9). Each function therefore uses a form that keeps
  its relative accuracy there;
* propagate gradients to both arguments.

``mask`` (bool or 0/1, broadcastable to the logits; true means present) marks valid entries, such as
the candidates of a ranking example or the tokens of a span distribution. Masked-out entries have
probability 0 and gradient 0, and may contain any value, including NaN. If all entries are masked out,
the result is 0.

The ``bernoulli_`` variant of a divergence treats every entry as an independent label with
probability sigmoid(logit) and sums over the labels along ``dim``. ``js`` on a task of independent
labels means ``bernoulli_js``; :func:`fits` declares such forms.

Example::

    loss = symmetric_kl(logits, other_logits).mean()  # (B, C) -> (B,) -> scalar
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Protocol, TypeVar

import torch
from torch import Tensor


class Output(Enum):
    """What the logits of a task type describe."""

    CLASSES = "classes"
    """A distribution over classes, candidates or positions: softmax of the logits."""
    LABELS = "labels"
    """Independent labels, each with probability sigmoid(logit)."""
    NUMBER = "number"

    @property
    def words(self) -> str:
        """What the logits describe, for messages."""
        return {"classes": "a distribution over classes", "labels": "independent labels"}.get(
            self.value, "a number"
        )


class Divergence(Protocol):
    """Signature of a divergence: two tensors -> one value per distribution."""

    def __call__(
        self, p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None
    ) -> Tensor:
        """Compute the divergence of P from Q for every distribution.

        Args:
            p_logits: logits of P, of any shape.
            q_logits: logits of Q, of the same shape.
            dim: dimension of the distribution.
            mask: true on valid entries, broadcastable to the logits; None if all are valid.

        Returns:
            One divergence per distribution, of the shape of the logits without ``dim``.

        Raises:
            ValueError: the shapes differ.
        """
        ...


Function = TypeVar("Function", bound=Callable[..., Tensor])


def fits(*outputs: Output, of: str | None = None) -> Callable[[Function], Function]:
    """Declare which outputs a divergence compares; by default only distributions over classes.

    Args:
        outputs: the outputs.
        of: registered name of the divergence whose form for these outputs this is. Where that one is
            named and does not fit, this form is used.

    Example::

        @DIVERGENCES.register("bernoulli_renyi")
        @fits(Output.LABELS, of="renyi")
        def bernoulli_renyi(p_logits, q_logits, *, dim=-1, mask=None): ...
    """

    def decorate(function: Function) -> Function:
        function.outputs = outputs  # type: ignore[attr-defined]
        function.form_of = of  # type: ignore[attr-defined]
        return function

    return decorate


def outputs_of(divergence: Divergence) -> tuple[Output, ...]:
    """Return the outputs that a divergence compares; see :func:`fits`."""
    return getattr(divergence, "outputs", (Output.CLASSES,))


def form_of(divergence: Divergence) -> str | None:
    """Return the name of the divergence whose form this one is, if any; see :func:`fits`."""
    return getattr(divergence, "form_of", None)


def halves(name: str) -> Callable[[Function], Function]:
    """Declare that l_s(P, Q) = d(P, Q) + d(Q, P), with d registered under ``name``."""

    def decorate(function: Function) -> Function:
        function.half = name  # type: ignore[attr-defined]
        return function

    return decorate


def half_of(divergence: Divergence) -> str | None:
    """Return the name of the divergence d of :func:`halves`; None if there is none."""
    return getattr(divergence, "half", None)


def check_divergence(name: str, function: Divergence) -> Divergence:
    """Return a registered divergence.

    Raises:
        TypeError: it cannot be called with two tensors (2, 3), or does not return one value for each
            of the two distributions.
    """
    if not callable(function):
        raise TypeError(f"divergence {name!r}: {function!r} is not a function")
    values = function(torch.zeros(2, 3), torch.zeros(2, 3))
    if not isinstance(values, Tensor) or values.shape != (2,):
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(
            f"divergence {name!r}: for logits (2, 3) it returned {shape}, and not one value for each of "
            f"the two distributions"
        )
    return function


def _prepare(
    p_logits: Tensor, q_logits: Tensor, mask: Tensor | None, fill: float
) -> tuple[Tensor, Tensor]:
    """Convert to float32 or wider; fill masked-out entries to zero their gradient."""
    if p_logits.shape != q_logits.shape:
        raise ValueError(
            f"p_logits and q_logits must have the same shape, got {tuple(p_logits.shape)} and "
            f"{tuple(q_logits.shape)}; broadcasting would compare every example with every other "
            "example"
        )
    dtype = torch.promote_types(torch.promote_types(p_logits.dtype, q_logits.dtype), torch.float32)
    p_logits, q_logits = p_logits.to(dtype), q_logits.to(dtype)
    if mask is None:
        return p_logits, q_logits
    absent = ~mask.bool()
    return p_logits.masked_fill(absent, fill), q_logits.masked_fill(absent, fill)


def _log_probabilities(
    p_logits: Tensor, q_logits: Tensor, dim: int, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return log p, log q, p, q; where masked out, p = q = 0 and log p = log q."""
    # Not -inf, because -inf minus -inf is NaN. A log-normalizer is lost in rounding next to the
    # lowest finite number, so log p and log q are equal at masked-out entries and add nothing.
    lowest = torch.finfo(torch.float32).min
    p_logits, q_logits = _prepare(p_logits, q_logits, mask, lowest)
    log_p, log_q = p_logits.log_softmax(dim), q_logits.log_softmax(dim)
    return log_p, log_q, log_p.exp(), log_q.exp()


@halves("kl")
def symmetric_kl(
    p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None
) -> Tensor:
    """Symmetric KL: KL(P||Q) + KL(Q||P) = sum (p - q)(log p - log q).

    Source: the l_s of SMART for classification (arXiv 1911.03437, section 3.1).
    """
    log_p, log_q, p, q = _log_probabilities(p_logits, q_logits, dim, mask)
    return ((p - q) * (log_p - log_q)).sum(dim)


def kl(p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None) -> Tensor:
    """Kullback-Leibler divergence: KL(P||Q) = sum p (log p - log q).

    The terms are p log(p/q) - p + q. Their sum is the same, and each term is non-negative.
    """
    log_p, log_q, p, q = _log_probabilities(p_logits, q_logits, dim, mask)
    d = log_p - log_q
    near = d.clamp(-1, 1)  # keeps both branches finite; torch.where propagates NaN gradients
    terms = torch.where(d.abs() < 1, p * (near + torch.expm1(-near)), p * d - p + q)
    return terms.sum(dim)


def js(p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None) -> Tensor:
    """Jensen-Shannon divergence: (KL(P||M) + KL(Q||M)) / 2 with M = (P + Q) / 2.

    It lies between 0 and log 2. With u = (log p - log q) / 2 it equals
    1/2 sum (p + q)(u tanh u - log cosh u), which avoids the cancellation in log p - log m.

    Source: used by PDR (arXiv 2010.12638).
    """
    log_p, log_q, p, q = _log_probabilities(p_logits, q_logits, dim, mask)
    u = (log_p - log_q) / 2
    near = u.clamp(-1, 1)
    near_value = near * near.tanh() - torch.log1p(2 * (near / 2).sinh().square())
    far = 2 * u.abs().clamp(min=1)
    far_value = math.log(2) - torch.log1p((-far).exp()) - far * (-far).sigmoid()
    return ((p + q) / 2 * torch.where(u.abs() < 1, near_value, far_value)).sum(dim)


def hellinger(
    p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None
) -> Tensor:
    """Squared Hellinger distance: 1/2 sum (sqrt p - sqrt q)^2, between 0 and 1.

    The distance itself has no derivative at p = q, hence the square. The square roots are computed
    as exp(log p / 2), whose gradient stays finite as p -> 0.

    Source: used by PDR (arXiv 2010.12638).
    """
    log_p, log_q, _, _ = _log_probabilities(p_logits, q_logits, dim, mask)
    return ((log_p / 2).exp() - (log_q / 2).exp()).square().sum(dim) / 2


@fits(Output.CLASSES, Output.LABELS, Output.NUMBER)
def squared_error(
    p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None
) -> Tensor:
    """Squared error of the outputs themselves: sum (p - q)^2.

    Raises:
        ValueError: the shapes differ. (B,) and (B,1) would broadcast to (B,B), whose mean is
            2 var(prediction) instead of 0 for identical predictions.

    Source: the l_s of SMART for regression (arXiv 1911.03437, section 3.1).
    """
    p_logits, q_logits = _prepare(p_logits, q_logits, mask, 0.0)
    return (p_logits - q_logits).square().sum(dim)


@fits(Output.CLASSES, Output.LABELS, Output.NUMBER)
def mean_squared_error(
    p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None
) -> Tensor:
    """Squared error divided by the number of valid entries along ``dim``: mean (p - q)^2.

    Source: the ``MseCriterion`` of MT-DNN's distillation; see mt_dnn/objective/distillation.py.

    Raises:
        ValueError: the shapes differ.
    """
    total = squared_error(p_logits, q_logits, dim=dim, mask=mask)
    if mask is None:
        return total / p_logits.shape[dim]
    return total / mask.expand(p_logits.shape).bool().sum(dim).clamp(min=1)


def _bernoulli(two_way: Divergence, name: str) -> Divergence:
    """Return the variant of a divergence for independent labels."""

    @fits(Output.LABELS, of=name)
    def bernoulli(
        p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None
    ) -> Tensor:
        p_logits, q_logits = _prepare(p_logits, q_logits, mask, 0.0)
        # sigmoid(z) is the first probability of softmax((z, 0)).
        p_pair, q_pair = (torch.stack([z, torch.zeros_like(z)], -1) for z in (p_logits, q_logits))
        return two_way(p_pair, q_pair).sum(dim)

    bernoulli.__doc__ = (
        f"Sum over labels of {name} between Bernoulli(sigmoid(p)) and Bernoulli(sigmoid(q))."
    )
    bernoulli.__name__ = bernoulli.__qualname__ = f"bernoulli_{name}"
    return bernoulli


bernoulli_symmetric_kl = halves("bernoulli_kl")(_bernoulli(symmetric_kl, "symmetric_kl"))
bernoulli_kl = _bernoulli(kl, "kl")
bernoulli_js = _bernoulli(js, "js")
bernoulli_hellinger = _bernoulli(hellinger, "hellinger")
