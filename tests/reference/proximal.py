"""D_Breg, the proximal term of SMART (arXiv 1911.03437, section 3.2), and its teacher theta~.

D_Breg(theta, theta~) = 1/n sum_i l_s( f(x_i; theta), f(x_i; theta~) )                          (eq. 4)

VBPP   theta~_t = theta_t
MBPP   theta~_t = (1 - beta) theta_t + beta theta~_{t-1},   theta~_0 = theta_0
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

Weights = dict[str, Tensor]


def d_breg(student: Tensor, teacher: Tensor, l_s: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """D_Breg from the logits of both; the teacher is a constant.

    Args:
        student: f(x; theta), with its graph.
        teacher: f(x; theta~).
        l_s: two predictions -> one value for each distribution, (M,).
    """
    return l_s(student, teacher.detach()).mean()


def momentum(update: int, total: int, beta: float, beta_late: float, switch: float) -> float:
    """beta of MBPP after an update, counted from 1: 0.99, and 0.999 after the first tenth."""
    return beta if update <= switch * total else beta_late


def horizon_momentum(update: int, total: int, every: int, horizon: float) -> float:
    """beta that averages over a fraction ``horizon`` of the run; the plain mean until it is that long.

    Not of the paper. The n-th change of theta~ has 1 - S / (horizon total), but at most n / (n + 1).
    """
    change = update // every
    return max(min(1 - every / (horizon * total), change / (change + 1)), 0.0)


def teachers(
    thetas: Sequence[Weights], every: int, betas: Sequence[float], vbpp: bool
) -> list[Weights]:
    """theta~ after each update.

    Args:
        thetas: theta_0, and theta after each update.
        every: S, the updates from one theta~ to the next (Algorithm 1: the inner loop).
        betas: beta after each update.
        vbpp: whether theta~ is theta itself.
    """
    teacher = {name: value.clone() for name, value in thetas[0].items()}
    found = []
    for update in range(1, len(thetas)):
        theta = thetas[update]
        if update % every == 0:
            beta = 0.0 if vbpp else betas[update - 1]
            teacher = {name: (1 - beta) * theta[name] + beta * teacher[name] for name in teacher}
        found.append(teacher)
    return found
