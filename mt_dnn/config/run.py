"""Everything a run is configured by. No torch here: ``--help`` must stay quick."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig


@dataclass(frozen=True)
class DataConfig:
    """Which tasks, where their rows are, where the prepared stores go."""

    tasks: str = "tasks.yml"
    """Task file."""
    use: tuple[str, ...] = ()
    """Names of the tasks to train, in order; empty: all of the file. The first is the main task of ratio mixing."""
    data_dir: str = "data"
    """Folder of the canonical {task}_{split}.tsv (or .jsonl) files."""
    store_dir: str | None = None
    """Folder of the prepared stores; default {data_dir}/store/{encoder}-{max_seq_len}."""
    on_stale: Literal["refuse", "rebuild"] = "refuse"
    """What to do with a store made from other rows, by another tokenizer or with other settings."""
    max_seq_len: int = 512
    """Longest sequence in tokens; longer ones are truncated, in training and evaluation alike."""
    train_limit: int | None = None
    """Train on at most this many examples of each task (a subset drawn by seed); null: all."""
    train_limits: dict[str, int] = field(default_factory=dict)
    """Task -> its own limit, in place of train_limit: an auxiliary task may be larger."""


@dataclass(frozen=True)
class ModelConfig:
    """The shared encoder and the defaults of the heads (a task's own keys win)."""

    encoder: str = "bert-base-uncased"
    """Hub name, local folder, or package:NAME for weights that a Python package carries."""
    pooling: Literal["cls", "mean", "max", "attention", "pair"] = "cls"
    """How hidden states become one vector; attention learns the weights of a mean; pair compares the means of the two sentences."""
    activation: Literal["tanh", "gelu", "relu", "none"] = "tanh"
    """Of the pooler layer between pooling and output; none removes the layer."""
    dropout: float = 0.1
    """Before each head's output layer."""
    init_from: str | None = None
    """A finished run whose shared encoder (and heads of equal name and shape) to start from."""
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    """Attention implementation; SDPA falls back to eager where an architecture lacks it."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""


@dataclass(frozen=True)
class MixingConfig:
    """How much of each task goes into an epoch (data_utils/mixing.py has the formulas)."""

    name: Literal[
        "proportional", "ratio", "temperature", "sqrt", "annealed", "capped", "uniform"
    ] = "proportional"
    """Strategy; proportional is MT-DNN's: every batch of every task once."""
    ratio: float = 1.0
    """ratio: batches of the other tasks for each batch of the first; 0: all of them, as in MT-DNN."""
    temperature: float = 2.0
    """temperature: probability ~ N^(1/T)."""
    cap: int = 10_000
    """capped: probability ~ min(N, cap examples)."""
    main_last: bool = False
    """All batches of the other tasks first, then the first task's (MT-DNN's mix_opt > 0)."""


@dataclass(frozen=True)
class BatchConfig:
    """What one batch is."""

    size: int = 32
    """Examples in a batch, over all processes together."""
    eval_size: int = 64
    """Examples in an evaluation batch."""
    accumulate: int = 1
    """Batches in one optimizer update."""
    group_by_length: bool = True
    """Batch examples of like length: far less padding."""
    pool: int = 50
    """Batches sorted by length together, at most a third of the task's; more: less padding, fewer distinct neighbours."""
    pad_multiple: int = 1
    """Round padded lengths up to a multiple of this; 8 suits tensor cores and torch.compile."""


@dataclass(frozen=True)
class OptimConfig:
    """Optimizer and schedule."""

    name: Literal["adamw", "adamax", "radam"] = "adamw"
    """Update rule; all with decoupled weight decay."""
    lr: float = 5e-5
    """Peak learning rate."""
    head_lr: float | None = None
    """Peak learning rate of the heads; null: lr."""
    weight_decay: float = 0.01
    """Not applied to biases and norms."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the moment estimates."""
    eps: float = 1e-8
    """Term in the update's denominator."""
    layer_decay: float = 1.0
    """Each encoder layer's learning rate is this factor of the one above it; 1 is off."""
    freeze: tuple[str, ...] = ()
    """Parameters to freeze: shell-style patterns on names, such as encoder.*embeddings*."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """From the peak to zero over the run (constant stays), after warmup."""
    warmup: float = 0.1
    """Fraction of all updates over which the rate rises from zero."""
    clip_norm: float = 1.0
    """Largest global gradient norm; 0 is off."""


@dataclass(frozen=True)
class TrainConfig:
    """Length, evaluation, checkpoints."""

    epochs: int = 3
    """Passes over the mixture."""
    max_steps: int | None = None
    """Stop after this many updates; the schedule spans them."""
    eval_every: int | None = None
    """Updates between evaluations; null: once an epoch."""
    save_every: int | None = None
    """Updates between resumable checkpoints; null: once an epoch; 0: none but at a signal."""
    keep: int = 1
    """Resumable checkpoints kept, the newest."""
    log_every: int = 50
    """Updates between log points."""
    patience: int | None = None
    """Stop after this many evaluations without a better average; null: never."""
    predictions: bool = True
    """Write the best model's predictions on every evaluation set."""


@dataclass(frozen=True)
class DistillConfig:
    """Learning from a teacher's logits beside the gold labels (mt_dnn/objective/supervised.py has the formulas)."""

    soft_labels: str | None = None
    """Folder of {task}_train.jsonl, written by predict.py --what logits; a task without a file learns from its gold labels alone. null: no distillation."""
    weight: float = 0.5
    """Of the teacher; the gold labels have 1 minus it. 0 switches the term off and skips its work."""
    temperature: float = 1.0
    """Both sides' logits are divided by it; higher: more of how the teacher ranks the unlikely."""
    annealing: Literal["none", "linear"] = "none"
    """linear: the weight falls to 0 over the run (with weight 1, the teacher annealing of BAM, arXiv 1907.04829)."""

    @property
    def is_on(self) -> bool:
        return self.soft_labels is not None and self.weight != 0


@dataclass(frozen=True)
class SystemConfig:
    """Where and how it computes. Nothing here changes what is computed, up to rounding."""

    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """auto: CUDA, else MPS, else CPU."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Autocast of the forward pass; weights stay float32. fp16 needs CUDA."""
    compile: bool = False
    """torch.compile the encoder."""
    threads: int | None = None
    """CPU threads; null: torch's choice."""
    workers: int | None = None
    """Loader processes, which make batches ahead; null: 2 on CUDA (pinned), else 0."""
    deterministic: bool = False
    """Only deterministic kernels (CUDA: slower); the CPU path is deterministic anyway."""


@dataclass(frozen=True)
class RunConfig:
    """One training run."""

    name: str = "run"
    """Name of the run's folder."""
    output_dir: str = "runs"
    """Folder of runs; the run goes to {output_dir}/{name}."""
    seed: int = 2018
    """Of initialization, order, dropout and noise."""
    resume: bool = False
    """Go on from the newest checkpoint of this run, if there is one."""
    overwrite: bool = False
    """Replace a run of this name."""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    mixing: MixingConfig = field(default_factory=MixingConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    smart: Literal[
        "off", "smart", "mtdnn_release", "r3f", "freelb", "rdrop", "pdr_js", "pdr_hellinger"
    ] = "off"
    """Preset that fills every field left null under smoothness and proximal (mt_dnn/config/smart.py)."""
    smoothness: SmoothnessConfig = field(default_factory=SmoothnessConfig)
    proximal: ProximalConfig = field(default_factory=ProximalConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    system: SystemConfig = field(default_factory=SystemConfig)
