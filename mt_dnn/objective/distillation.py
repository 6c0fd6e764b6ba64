"""Knowledge distillation: the loss against a teacher's logits, and its weight.

    F = (1 - w_t) L + w_t D_kd,      D_kd = T^2 1/n sum_i d( f_teacher(x_i) / T, f(x_i; theta) / T )

Source: Hinton et al. 2015 (arXiv 1503.02531, section 2). The temperature T softens the distributions
of teacher and student. The gradient of the softened term shrinks as 1 / T^2, and the factor T^2
compensates for this. By default d is KL(teacher || student), which equals the cross-entropy to the
teacher up to the entropy of the teacher, and that entropy has no gradient. For numbers d is the
squared difference, where T cancels. ``kd_loss: MseCriterion``, or ``mse``, is the loss of that name in
MT-DNN: the mean squared difference of the logits over examples AND classes (``mean_squared_error``). As
``adv_loss`` the same name is the sum over classes (``squared_error``), as in SMART's l_s.

A mixture of the two losses equals one loss on a mixture of the targets. BAM (Clark et al. 2019, arXiv
1907.04829, section 3) trains on the cross-entropy to lambda y + (1 - lambda) p_teacher; its teacher
annealing raises lambda from 0 to 1 over the run. The settings ``weight: 1, annealing: linear`` at
T = 1 compute the same, with w = 1 - lambda, because the cross-entropy H(q) = -sum_c q_c log p_c is
linear in the target q:

    (1 - w) H(y) + w H(p_teacher) = H( (1 - w) y + w p_teacher ).

The equation also holds for the Bernoulli distributions of independent labels. It holds for candidates
where every example has a relevant candidate; an example without one has no L, but has a D_kd. For
squared error the two sides differ by a constant:

    (1 - w) (s - y)^2 + w (s - t)^2 = ( s - [(1 - w) y + w t] )^2 + w (1 - w) (y - t)^2.

This module depends on no task type and no model class.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mt_dnn.config.run import DistillConfig


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    divergence: Callable[[Tensor, Tensor], Tensor],
    *,
    temperature: float,
) -> Tensor:
    """Compute D_kd; the gradient flows into the student only.

    Args:
        student_logits: any shape that ``divergence`` accepts.
        teacher_logits: the same shape.
        divergence: ``divergence(p_logits, q_logits)`` -> scalar, the mean over examples; p is the
            teacher.
        temperature: T > 0.

    Returns:
        T^2 times the mean divergence, a scalar.

    Example::

        loss = distillation_loss(student, teacher, lambda p, q: kl(p, q).mean(), temperature=2.0)
    """
    # Autocast may have computed the student's logits in a coarser dtype than the teacher's.
    dtype = torch.promote_types(student_logits.dtype, teacher_logits.dtype)
    softened = divergence(
        teacher_logits.detach().to(dtype) / temperature, student_logits.to(dtype) / temperature
    )
    return temperature**2 * softened


def teacher_weight(config: DistillConfig, progress: float) -> float:
    """Compute w_t, the weight of the distillation term.

    It is ``config.weight``, multiplied by ``1 - progress`` with linear annealing.

    Args:
        config: weight and annealing.
        progress: fraction of all updates of the run that precede this one; 0 at the first update.
    """
    return config.weight * (1 - progress) if config.annealing == "linear" else config.weight
