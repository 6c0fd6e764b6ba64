"""Knowledge distillation: the term against a teacher's logits, and how its weight falls.

    F = (1 - w_t) L + w_t D_kd,      D_kd = T^2 1/n sum_i d( f_teacher(x_i) / T, f(x_i; theta) / T )

Hinton et al. 2015 (arXiv 1503.02531, section 2): both sides are softened by the temperature T, and
T^2 undoes that the gradient of the softened term shrinks as 1 / T^2. d is KL(teacher || student),
the cross-entropy to the teacher but for the teacher's entropy, which has no gradient; for numbers
the squared difference, where T cancels.

Mixing the losses is mixing the targets. BAM (Clark et al. 2019, arXiv 1907.04829, section 3) trains
on the cross-entropy to lambda y + (1 - lambda) p_teacher, and its teacher annealing raises lambda
from 0 to 1 over the run: here ``weight: 1, annealing: linear`` at T = 1, with w = 1 - lambda. For a
target q the cross-entropy H(q) = -sum_c q_c log p_c is linear in q, so that

    (1 - w) H(y) + w H(p_teacher) = H( (1 - w) y + w p_teacher ).

So it is for the Bernoullis of labels in a set, and for candidates where every example has a relevant
one (else it has no L, but a D_kd). For squared error the two differ by a constant:

    (1 - w) (s - y)^2 + w (s - t)^2 = ( s - [(1 - w) y + w t] )^2 + w (1 - w) (y - t)^2.

Knows no task and no model class.
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
    """D_kd, a scalar; the gradient flows into the student alone.

    Args:
        student_logits: of any shape that ``divergence`` takes.
        teacher_logits: of the same shape.
        divergence: ``divergence(p_logits, q_logits)`` -> scalar, the mean over examples; p is the
            teacher.
        temperature: T > 0.
    """
    dtype = torch.promote_types(student_logits.dtype, teacher_logits.dtype)  # autocast's is coarse
    softened = divergence(
        teacher_logits.detach().to(dtype) / temperature, student_logits.to(dtype) / temperature
    )
    return temperature**2 * softened


def teacher_weight(config: DistillConfig, progress: float) -> float:
    """w_t: ``config.weight``, or with linear annealing that times what is left of the run.

    Args:
        progress: updates done before this one, over all updates of the run; 0 at the first.
    """
    return config.weight * (1 - progress) if config.annealing == "linear" else config.weight
