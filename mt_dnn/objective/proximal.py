"""Bregman proximal point optimization (SMART, arXiv 1911.03437, section 3.2).

The proximal term keeps the next parameters close to theta_tilde, measured on the predictions:

    mu D_Breg(theta, theta_tilde) = mu 1/n sum_i l_s( f(x_i; theta), f(x_i; theta_tilde) )

    VBPP   theta_tilde_t = theta_t
    MBPP   theta_tilde_t = (1 - beta) theta_t + beta theta_tilde_{t-1},   theta_tilde_0 = theta_0

with beta = 0.99 in the first tenth of the updates and 0.999 after it. VBPP is MBPP with beta = 0.

A momentum averages over 1 / (1 - beta) updates of theta_tilde, which come every S optimizer updates. In
a run of T optimizer updates, ``horizon`` h sets the length of the average to h T optimizer updates:

    beta_n = min( 1 - S / (h T),  n / (n + 1) )      at the n-th update of theta_tilde, at least 0

The second part makes theta_tilde the mean of all parameters so far (theta_0 and n more) until that mean
is as long as the horizon, so that the untrained heads of theta_0 do not dominate.

This module depends on no task type and no model class. It runs the given module with the parameters
theta_tilde.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from data_utils.errors import UserError
from mt_dnn.config.smart import ProximalConfig
from mt_dnn.randomness import dropout_off, seeded_rng


def momentum(config: ProximalConfig, step: int, total_steps: int) -> float:
    """Compute beta after optimizer update ``step`` of ``total_steps``, counted from 1.

    Args:
        config: resolved.
        step: number of the optimizer update.
        total_steps: number of updates of the run.
    """
    assert config.beta is not None
    assert config.beta_late is not None
    assert config.beta_switch is not None
    assert config.steps is not None
    if config.teacher == "vbpp":
        return 0.0
    if config.horizon is None:
        return config.beta if step <= config.beta_switch * total_steps else config.beta_late
    done = step // config.steps  # n, the updates of theta_tilde
    longest = 1 - config.steps / (config.horizon * total_steps)
    return max(min(longest, done / (done + 1)), 0.0)


class ProximalTeacher:
    """The proximal teacher theta_tilde: an average of trainable parameters.

    The average is kept in float32 or wider. The teacher shares frozen parameters and buffers with
    the model, so it needs memory for one copy of the trainable parameters. Create it after freezing
    parameters and after moving the model to its device. Pass the module itself, not a wrapper such
    as DistributedDataParallel.

    Args:
        model: the student. It must remain the same object while the teacher is in use.
        config: resolved, that is, without None (:func:`mt_dnn.config.presets.resolve`).

    Example::

        teacher = ProximalTeacher(model, config)
        loss = loss + config.weight * divergence(model(batch), teacher.logits(batch))
        ...  # backward pass and optimizer update number `step`, counted from 1
        teacher.update(step, total_steps)
    """

    def __init__(self, model: nn.Module, config: ProximalConfig) -> None:
        self.model = model
        self.config = config
        self._live = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._teacher = {
            name: p.detach().to(torch.promote_types(p.dtype, torch.float32), copy=True)
            for name, p in self._live.items()
        }

    @torch.no_grad()
    def restart(self) -> None:
        """Set theta_tilde to the parameters of the model."""
        for name, p in self._live.items():
            self._teacher[name].copy_(p)

    def logits(self, *args: Any, dropout_seed: int | None = None, **kwargs: Any) -> Tensor:
        """Compute f(x; theta_tilde) without gradient.

        The call leaves the global generators, the modes and the buffers of the student as they were. An
        active autocast context applies, as it does to the clean pass of the student.

        Args:
            args: positional arguments of ``model``.
            dropout_seed: None computes without dropout. A seed keeps the modes of the student and draws
                the masks from it: the masks of a pass of the student under ``seeded_rng`` with the
                same seed.
            kwargs: other keyword arguments of ``model``.

        Returns:
            The result of ``model(*args, **kwargs)`` with the parameters theta_tilde.
        """
        call = torch.func.functional_call
        with torch.inference_mode():
            if dropout_seed is None:
                with dropout_off(self.model):
                    logits = call(self.model, self._teacher, args, kwargs)
            else:
                # In train mode, batch normalization changes its buffers; it changes these copies.
                buffers = {name: b.clone() for name, b in self.model.named_buffers()}
                device = next(self.model.parameters()).device
                with seeded_rng(dropout_seed, device):
                    logits = call(self.model, self._teacher | buffers, args, kwargs)
        # Autograd cannot save an inference tensor for the backward pass, but it can save this copy.
        return logits.clone()

    @torch.no_grad()
    def update(self, step: int, total_steps: int) -> None:
        """Update theta_tilde every S updates; call after each optimizer update.

        Args:
            step: number of the optimizer update, counted from 1.
            total_steps: number of updates of the run.
        """
        assert self.config.steps is not None
        if step % self.config.steps:
            return
        live = [
            p.detach().to(t.dtype)
            for p, t in zip(self._live.values(), self._teacher.values(), strict=True)
        ]
        beta = momentum(self.config, step, total_steps)
        torch._foreach_lerp_(list(self._teacher.values()), live, 1 - beta)

    @torch.no_grad()
    def distance(self) -> Tensor:
        """||theta - theta_tilde||_2 over all trainable parameters, a scalar on the device."""
        pairs = zip(self._live.values(), self._teacher.values(), strict=True)
        norms = [torch.linalg.vector_norm(p - t) for p, t in pairs]
        return torch.linalg.vector_norm(torch.stack(norms))

    def state_dict(self) -> dict[str, Tensor]:
        """theta_tilde by parameter name; updates change these tensors in place."""
        return dict(self._teacher)

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Copy theta_tilde from the result of :meth:`state_dict`.

        Raises:
            UserError: names or shapes differ from the trainable parameters.
        """
        mismatched = sorted(state.keys() ^ self._teacher.keys())
        mismatched += [
            n
            for n in state.keys() & self._teacher.keys()
            if state[n].shape != self._teacher[n].shape
        ]
        if mismatched:
            raise UserError(
                "the saved proximal teacher does not match the trainable parameters: "
                f"{', '.join(mismatched[:5])}{', ...' if len(mismatched) > 5 else ''}. Resume with the "
                "encoder, the tasks and the optim.freeze of the saved run."
            )
        for name, value in state.items():
            self._teacher[name].copy_(value)
