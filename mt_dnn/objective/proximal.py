"""Bregman proximal point optimization (SMART, arXiv 1911.03437, section 3.2).

The step from theta_t is kept in a trust region around theta_tilde, measured on predictions:

    mu D_Breg(theta, theta_tilde) = mu 1/n sum_i l_s( f(x_i; theta), f(x_i; theta_tilde) )

    VBPP   theta_tilde_t = theta_t
    MBPP   theta_tilde_t = (1 - beta) theta_t + beta theta_tilde_{t-1},   theta_tilde_0 = theta_0

with beta = 0.99 over the first tenth of the updates and 0.999 after. VBPP is MBPP with beta = 0.

Knows no task and no model class: it runs the module it is given, with other parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from data_utils.errors import UserError
from mt_dnn.config.smart import ProximalConfig
from mt_dnn.randomness import dropout_off


class ProximalTeacher:
    """theta_tilde: an average, in float32 at least, of the trainable parameters of ``model``.

    Frozen parameters and buffers are the model's own, so the teacher costs one copy of what is
    trained. Create it after freezing and after the model is on its device, from the bare module
    and not from a wrapper around it.

    Args:
        model: the student; must stay the same object for as long as the teacher is used.
        config: resolved (no None).
    """

    def __init__(self, model: nn.Module, config: ProximalConfig) -> None:
        self.model = model
        self.config = config
        self._live = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._teacher = {
            name: p.detach().to(torch.promote_types(p.dtype, torch.float32), copy=True)
            for name, p in self._live.items()
        }

    def logits(self, *args: Any, **kwargs: Any) -> Tensor:
        """f(x; theta_tilde): what ``model(*args, **kwargs)`` returns, without dropout or gradient.

        It draws no random numbers; the student's train or eval mode is as before afterwards. Ambient
        autocast applies, as to the student's clean pass with which the result is compared.
        """
        with torch.inference_mode(), dropout_off(self.model):
            logits = torch.func.functional_call(self.model, self._teacher, args, kwargs)
        # A copy made outside inference mode may be saved for a backward pass.
        return logits.clone()

    def divergence(
        self,
        student_logits: Tensor,
        divergence: Callable[[Tensor, Tensor], Tensor],
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        """D_Breg, a scalar: ``divergence(student_logits, self.logits(*args, **kwargs))``."""
        return divergence(student_logits, self.logits(*args, **kwargs))

    def beta(self, step: int, total_steps: int) -> float:
        """Momentum after optimizer update ``step`` (counted from 1) of ``total_steps``."""
        c = self.config
        if c.teacher == "vbpp":
            return 0.0
        assert c.beta is not None
        assert c.beta_late is not None
        assert c.beta_switch is not None
        return c.beta if step <= c.beta_switch * total_steps else c.beta_late

    @torch.no_grad()
    def update(self, step: int, total_steps: int) -> None:
        """Follow the student; call after optimizer update ``step``. Acts every S updates."""
        assert self.config.steps is not None
        if step % self.config.steps:
            return
        live = [
            p.detach().to(t.dtype)
            for p, t in zip(self._live.values(), self._teacher.values(), strict=True)
        ]
        torch._foreach_lerp_(list(self._teacher.values()), live, 1 - self.beta(step, total_steps))

    @torch.no_grad()
    def distance(self) -> Tensor:
        """||theta - theta_tilde||_2 over all trained parameters; a scalar left on the device."""
        pairs = zip(self._live.values(), self._teacher.values(), strict=True)
        norms = [torch.linalg.vector_norm(p - t) for p, t in pairs]
        return torch.linalg.vector_norm(torch.stack(norms))

    def state_dict(self) -> dict[str, Tensor]:
        """theta_tilde by parameter name: plain tensors, which later updates change in place."""
        return dict(self._teacher)

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take theta_tilde from ``state``.

        Raises:
            UserError: names or shapes differ from the trained parameters.
        """
        odd = sorted(state.keys() ^ self._teacher.keys())
        odd += [
            n
            for n in state.keys() & self._teacher.keys()
            if state[n].shape != self._teacher[n].shape
        ]
        if odd:
            raise UserError(
                f"the proximal teacher's state does not fit the trained parameters: {', '.join(odd[:5])}"
                f"{' ...' if len(odd) > 5 else ''}. Was it saved with another encoder, other tasks or "
                "another optim.freeze?"
            )
        for name, value in state.items():
            self._teacher[name].copy_(value)
