"""The sections ``smoothness`` and ``proximal``: settings of SMART. Must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SmoothnessConfig:
    """Smoothness term R_s (arXiv 1911.03437, section 3.1); null: value of the preset."""

    weight: float | None = None
    """lambda_s, the weight of R_s in the loss. 0 switches the term off and skips its computation."""
    ascent: Literal["projected", "normalized", "accumulated", "none"] | None = None
    """Method of gradient ascent that moves the noise towards the largest divergence: projected is Algorithm 1 of SMART (a gradient step, then projection onto the ball of radius epsilon); normalized is that of the released MT-DNN code (noise plus step_size times the raw gradient, rescaled to norm epsilon); accumulated is FreeLB (projected steps; the term is the mean over all iterates); none uses the noise unchanged."""
    epsilon: float | None = None
    """Radius of the norm ball of perturbations, in the units of the space (a coordinate of BERT's word embeddings is about 0.05, one of its embedding output about 1)."""
    space: Literal["words", "embedding_output"] | None = None
    """What is perturbed: words perturbs the word embeddings, as in the paper; embedding_output perturbs what enters the first layer, after LayerNorm, dropout and projection, for encoders of the BERT, RoBERTa, DeBERTa, ELECTRA, ALBERT, DistilBERT, MPNet and NEZHA families."""
    step_size: float | None = None
    """eta, the length of one ascent step, measured in the chosen norm. With ascent normalized: the factor of the raw gradient. If it is null in the preset too, it follows epsilon in the paper's ratio: 100 epsilon."""
    steps: int | None = None
    """T_x, the number of ascent steps. Each step costs one forward and one backward pass. With ascent accumulated: the number of iterates, including the initial noise."""
    noise: Literal["normal", "uniform", "zero"] | None = None
    """Distribution of the initial noise."""
    sigma: float | None = None
    """Scale of the initial noise: the standard deviation of normal noise, half the width of uniform noise. If it is null in the preset too, it follows epsilon in the paper's ratio: 1 epsilon."""
    norm: Literal["linf", "l2", "l1"] | None = None
    """The p-norm of the ball and of the normalized ascent step g / ||g||_p."""
    norm_scope: Literal["token", "sentence"] | None = None
    """Vector whose norm is taken: the embedding of one token, or the embeddings of the whole sequence."""
    dropout: Literal["shared", "independent", "off"] | None = None
    """Dropout in the clean and the perturbed passes: shared uses the same masks in both; independent draws new masks for each pass, so that the term also measures dropout noise, as R-Drop does; off uses no dropout in either, which costs one more clean pass."""
    precision: Literal["auto", "float32", "autocast"] | None = None
    """Precision of the passes of this term when system.precision is bf16 or fp16. These precisions round a perturbation of radius 1e-5 to zero. float32 then costs one more clean pass. auto takes autocast under bf16 if the radius and the initial noise are both at least 1% of the root mean square of what is perturbed, measured at the start of the run, else float32."""
    divergence: str | None = None
    """l_s, the divergence between the clean and the perturbed prediction; `mt-dnn list divergence` prints all. If it is null in the preset too, each task uses the divergence of its type."""
    detach: Literal["none", "clean", "own_target"] | None = None
    """What R_s treats as a constant: none lets the gradient flow into both predictions; clean holds the clean prediction; own_target writes l_s(P, Q) as d(P, Q) + d(Q, P), as the symmetric KL is a sum of two KLs, and holds the first argument of each, so that both predictions get about half of the gradient."""
    balance: float | None = None
    """Target of rho, the norm of the gradient of lambda_s R_s on the encoder over that of the supervised loss. After warmup the weight of each task follows it, within a factor of 100 of weight. null: the weight stays as it is."""
    balance_every: int | None = None
    """Updates between two measurements of rho (and of that of D_Breg), which begin after warmup. A measurement on one batch costs one backward pass for the supervised loss and one for each term of SMART."""


@dataclass(frozen=True)
class ProximalConfig:
    """Proximal term D_Breg (arXiv 1911.03437, section 3.2); null: value of the preset."""

    weight: float | None = None
    """mu, the weight of D_Breg in the loss. 0 switches the term off and skips its computation."""
    teacher: Literal["mbpp", "vbpp"] | None = None
    """theta_tilde, the parameters of the proximal teacher: mbpp keeps a moving average of the parameters with momentum beta; vbpp copies the current parameters (with steps 1 its term is 0 except for dropout)."""
    beta: float | None = None
    """Momentum of mbpp in the first part of the run, up to beta_switch."""
    beta_late: float | None = None
    """Momentum of mbpp in the rest of the run."""
    beta_switch: float | None = None
    """Fraction of all updates after which beta_late replaces beta."""
    steps: int | None = None
    """S, the number of optimizer updates per update of theta_tilde."""
    horizon: float | None = None
    """Averaging length of mbpp as a fraction of the run's updates, such as 0.01. It replaces beta, beta_late and beta_switch by min(1 - S / (horizon * updates), n / (n + 1)) at the n-th update of theta_tilde. null: beta as given."""
    dropout: Literal["shared", "off", "independent"] | None = None
    """Dropout of the two predictions that D_Breg compares: shared uses the student's masks for the teacher too, so that theta_tilde = theta gives exactly 0; off uses none in either, which costs one more clean pass; independent uses none for the teacher only, so that the term also measures dropout noise."""
    precision: Literal["float32", "autocast"] | None = None
    """Precision of the passes of this term when system.precision is bf16 or fp16. Their rounding exceeds a D_Breg below about 1e-5. float32 then costs one more clean pass."""
