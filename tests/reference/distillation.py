"""Knowledge distillation: Hinton et al. 2015 (arXiv 1503.02531), BAM (arXiv 1907.04829).

F = (1 - w) L + w T^2 1/n sum_i d( teacher_i / T, student_i / T )
"""

from __future__ import annotations

import torch
from torch import Tensor


def kl_term(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 times the mean KL(teacher || student) of logits (B, C) divided by T."""
    total = torch.zeros((), dtype=student.dtype)
    for i in range(len(student)):
        p = torch.exp(teacher[i] / temperature) / torch.exp(teacher[i] / temperature).sum()
        q = torch.exp(student[i] / temperature) / torch.exp(student[i] / temperature).sum()
        total = total + sum(p[c] * torch.log(p[c] / q[c]) for c in range(len(p)))
    return temperature**2 * total / len(student)


def mse_term(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """MT-DNN's MseCriterion: the mean over examples AND classes of the squared difference of logits.

    T^2 and the division by T cancel.
    """
    examples, classes = student.shape
    total = torch.zeros((), dtype=student.dtype)
    for i in range(examples):
        for c in range(classes):
            difference = teacher[i, c] / temperature - student[i, c] / temperature
            total = total + difference**2
    return temperature**2 * total / (examples * classes)


def annealed(weight: float, done: float) -> float:
    """The weight of the teacher, which BAM's annealing lowers to 0 over the run (section 3)."""
    return weight * (1 - done)
