"""Settings of a training run. Must not import torch, to keep ``--help`` fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig

FREE = {"resume": "free"}
"""Metadata of a setting that a resumed run may change. All others must stay as they were."""
PATH = {"resume": "path"}
"""Metadata of a path that a resumed run may change if its last part stays."""
LONGER = {"resume": "longer"}
"""Metadata of a length that a resumed run may increase."""
MAX_SEQ_LEN = 512
"""Greatest length in tokens, if none is set."""


@dataclass(frozen=True)
class DataConfig:
    """Tasks to train and the folders of their data."""

    tasks: str = field(default="tasks.yml", metadata=FREE)
    """YAML file that defines the tasks."""
    use: tuple[str, ...] = ()
    """Names of the tasks to train, in order. Empty means every task of the file. The first task is the main task of ratio mixing."""
    data_dir: str = field(default="data", metadata=FREE)
    """Folder that contains the files {task}_{split}.tsv (or .jsonl) in the canonical format."""
    store_dir: str | None = field(default=None, metadata=FREE)
    """Folder of the prepared (tokenized) data. null: {data_dir}/store/{encoder}-{max_seq_len}."""
    on_stale: Literal["refuse", "rebuild"] = field(default="refuse", metadata=FREE)
    """What to do when prepared data was made from different rows, with a different tokenizer or with different settings: refuse stops with an error; rebuild prepares the data again."""
    max_seq_len: int | None = None
    """Maximum sequence length in tokens. Longer sequences are truncated, in training and in evaluation. null: 512, or as many as the encoder has positions if it has fewer."""
    train_limit: int | None = None
    """Train on at most this many rows of each task (a random subset that depends on the seed). A row of a span task has several windows, and all of them are used. null: all rows."""
    train_limits: dict[str, int] = field(default_factory=dict)
    """Limits for individual tasks, {task: limit}. They replace train_limit, for example to use more examples of an auxiliary task."""
    eval_limit: int | None = None
    """Evaluate on at most this many rows of each dev set during training (a random subset that depends on the seed). The final scores, of the best model on dev and test sets, are always computed on all rows. null: all rows."""
    folds: int | None = None
    """Cross-validation: divide each train split into this many folds (a random partition that depends on the seed, stratified by label where an example has one class). Dev splits are not used. null: no cross-validation."""
    fold: int | None = None
    """With folds: evaluate on this fold, counted from 1, and train on all others."""

    @property
    def token_limit(self) -> int:
        """``max_seq_len``, or its default for encoders with enough positions."""
        return MAX_SEQ_LEN if self.max_seq_len is None else self.max_seq_len


@dataclass(frozen=True)
class ModelConfig:
    """The shared encoder and the defaults of the heads, which a task may override."""

    encoder: str = field(default="bert-base-uncased", metadata=PATH)
    """Name on the Hugging Face hub, local folder, or package:NAME for weights inside an installed Python package."""
    pooling: Literal["cls", "mean", "max", "attention", "pair"] = "cls"
    """How the hidden states are reduced to one vector: cls takes the first token; mean and max pool over the tokens; attention is a weighted mean with learned weights; pair combines the means of the two sentences."""
    layers: Literal["last", "scalar_mix"] = "last"
    """What the heads read: the last layer of the encoder, or scalar_mix, a mean of all layers with learned weights (arXiv 1802.05365)."""
    activation: Literal["tanh", "gelu", "relu", "none"] = "tanh"
    """Activation of the dense layer between pooling and output. none removes the layer."""
    dropout: float = 0.1
    """Dropout rate before the output layer of each head."""
    encoder_dropout: float | None = None
    """Dropout rate inside the encoder, of hidden states and of attention weights. null: the rates in the encoder's configuration."""
    num_layers: int | None = None
    """Keep only the first layers of the encoder, this many. null: all."""
    adapter: str | None = None
    """Train a small adapter inside the encoder, whose own weights are frozen; `mt-dnn list adapter` prints all. It needs the package peft. null: train the encoder itself."""
    adapter_options: dict[str, Any] = field(default_factory=dict)
    """Options of the chosen adapter, such as {r: 8, targets: [query, value]} for lora."""
    init_from: str | None = field(default=None, metadata=PATH)
    """Folder of a finished run to start from. Its encoder is loaded, and every head with the same name and shape."""
    attention: Literal["sdpa", "eager", "flash_attention_2"] = field(default="sdpa", metadata=FREE)
    """Attention implementation. sdpa falls back to eager for architectures that do not support it."""
    gradient_checkpointing: bool = field(default=False, metadata=FREE)
    """Recompute activations in the backward pass, which saves memory and costs time."""


@dataclass(frozen=True)
class MixingConfig:
    """Number of batches of each task in an epoch (see data_utils/mixing.py)."""

    name: str = "proportional"
    """Mixing strategy; `mt-dnn list mixing` prints all. proportional is that of MT-DNN: every batch of every task once."""
    ratio: float = 1.0
    """Strategy ratio: number of batches of the other tasks for each batch of the first task. 0 uses all of their batches, as in MT-DNN."""
    temperature: float = 2.0
    """Strategy temperature: T in probability ~ N^(1/T), where N is the number of examples of the task."""
    cap: int = 10_000
    """Strategy capped: probability ~ min(N, cap), where N is the number of examples of the task."""
    main_last: bool = False
    """Train on all batches of the other tasks before those of the first task (mix_opt > 0 in MT-DNN)."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the strategy, {option: value}: those of rates are rates and cap; a strategy from a plugin has its own."""


@dataclass(frozen=True)
class BatchConfig:
    """Batch size, padding and gradient accumulation."""

    size: int = 32
    """Examples in a training batch, summed over all processes."""
    eval_size: int = field(default=64, metadata=FREE)
    """Examples in an evaluation batch."""
    accumulate: int = 1
    """Batches per optimizer update (gradient accumulation)."""
    spread: bool = False
    """Take the batches of an update from different tasks, as far as the epoch has them: the batches of each task are divided evenly over the updates. Needs accumulate above 1."""
    group_by_length: bool = True
    """Put examples of similar length into one batch, which reduces padding."""
    pool: int = 50
    """Number of batches whose examples are sorted by length together, at most a third of the batches of the task. A larger pool means less padding, but examples meet fewer different neighbours in their batches."""
    pad_multiple: int = 1
    """Pad sequences to a multiple of this length. 8 is efficient with tensor cores and torch.compile."""


@dataclass(frozen=True)
class OptimConfig:
    """Optimizer and learning rate schedule."""

    name: str = "adamw"
    """Optimizer; `mt-dnn list optimizer` prints all with their options. The built-in ones use decoupled weight decay."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the chosen optimizer, such as --optim.options.momentum 0.9 for sgd."""
    lr: float = 5e-5
    """Peak learning rate."""
    head_lr: float | None = None
    """Peak learning rate of the heads. null: same as lr."""
    weight_decay: float = 0.01
    """Decoupled weight decay. Biases and normalization layers are exempt."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the two moment estimates."""
    eps: float = 1e-8
    """Constant added to the denominator of the update for numerical stability."""
    layer_decay: float = 1.0
    """Layer-wise learning rate decay: the learning rate of an encoder layer is this factor times the rate of the layer above it. 1 switches it off."""
    freeze: tuple[str, ...] = ()
    """Parameters to freeze, as shell-style patterns on parameter names, such as encoder.*embeddings*."""
    schedule: str = "linear"
    """Learning rate after warmup: linear, cosine and polynomial fall from the peak to zero at the end of the run; constant stays at the peak. `mt-dnn list schedule` prints all."""
    schedule_options: dict[str, Any] = field(default_factory=dict)
    """Options of the chosen schedule, such as --optim.schedule_options.power 2 for polynomial: the rate is the peak times (1 - progress)^power."""
    warmup: float = 0.1
    """Fraction of all updates during which the learning rate rises from zero to the peak."""
    clip_norm: float = 1.0
    """Clip the global gradient norm to this value. 0 switches clipping off."""
    combine: str = "sum"
    """How the gradients of several tasks in one update (batch.accumulate above 1) are combined on the encoder; `mt-dnn list combine` prints all. sum is plain gradient accumulation; the others need the package torchjd."""
    combine_options: dict[str, Any] = field(default_factory=dict)
    """Options of the chosen combination."""


@dataclass(frozen=True)
class TrainConfig:
    """Length of the run, evaluation and checkpoints."""

    epochs: int = field(default=3, metadata=LONGER)
    """Number of epochs, that is, passes over the mixture of tasks."""
    max_steps: int | None = field(default=None, metadata=LONGER)
    """Largest number of optimizer updates. The run and its learning rate schedule end after this many updates or after the last epoch, whichever comes first. null: no limit."""
    eval_every: int | None = None
    """Updates between evaluations. null: once an epoch."""
    save_every: int | None = field(default=None, metadata=FREE)
    """Updates between checkpoints from which the run can resume. null: once an epoch. 0: only when a signal stops the run."""
    keep: int = field(default=1, metadata=FREE)
    """Number of checkpoints to keep; older ones are deleted."""
    log_every: int = field(default=50, metadata=FREE)
    """Updates between log entries."""
    gradient_cosines: bool = field(default=False, metadata=FREE)
    """Log the cosines between the tasks' gradients on the encoder also with optim.combine sum, which needs memory for one gradient of the encoder per task. Needs batch.accumulate above 1. With any other combination they are always logged."""
    patience: int | None = None
    """Stop early after this many evaluations without a better average score. null: never."""
    select_on: tuple[str, ...] = ()
    """Dev sets whose average score selects the best model, such as [rte]. Empty means those of all tasks that are trained; a task without a train split, or with weight 0, is evaluated and does not select."""
    keep_best_per_task: bool = field(default=False, metadata=FREE)
    """Also keep the best model of each task, by its own dev score, in the folders best-{task}."""
    predictions: bool = field(default=True, metadata=FREE)
    """Write the predictions of the best model on every evaluation set."""
    report: bool = field(default=True, metadata=FREE)
    """Write report.html, a page about the run, into its folder at the end. `mt-dnn report` writes it later."""


@dataclass(frozen=True)
class DistillConfig:
    """Knowledge distillation from a teacher (see mt_dnn/objective/distillation.py)."""

    soft_labels: str | None = field(default=None, metadata=FREE)
    """Folder that contains the files {task}_train.jsonl, which predict.py --what logits writes. A task without a file is trained on its gold labels alone. null: no distillation."""
    weight: float = 0.5
    """Weight w of the distillation term; the supervised loss has weight 1 - w. 0 switches the term off and skips its computation."""
    temperature: float = 1.0
    """Divisor of the logits of teacher and student. A higher temperature gives more weight to how the teacher ranks the unlikely labels."""
    annealing: Literal["none", "linear"] = "none"
    """Schedule of the weight. none keeps it constant; linear reduces it to 0 over the run (with weight 1 this is the teacher annealing of BAM, arXiv 1907.04829)."""

    @property
    def is_on(self) -> bool:
        """Whether the distillation term is computed."""
        return self.soft_labels is not None and self.weight != 0


@dataclass(frozen=True)
class TermConfig:
    """A loss term that is added to those of SMART."""

    name: str
    """Registered name; `mt-dnn list term` prints all."""
    weight: float = 1.0
    """Weight of the term in the loss. 0 switches it off and skips its computation."""
    weights: dict[str, float] = field(default_factory=dict)
    """Weights for single tasks, {task: weight}. They replace weight."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the term."""
    tag: str | None = None
    """Tag of its values in the logs. null: the term's own. It distinguishes two terms of one name."""

    @property
    def is_on(self) -> bool:
        """Whether the term is computed for a task."""
        return bool(self.weight or any(self.weights.values()))


@dataclass(frozen=True)
class SystemConfig:
    """Device, precision and processes. They change results only by rounding."""

    device: Literal["auto", "cuda", "mps", "cpu"] = field(default="auto", metadata=FREE)
    """Device. auto takes CUDA if available, else MPS, else the CPU."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Precision of the forward pass (autocast). The weights stay in float32. fp16 needs CUDA."""
    compile: bool = field(default=False, metadata=FREE)
    """Compile the encoder with torch.compile."""
    threads: int | None = field(default=None, metadata=FREE)
    """Number of CPU threads. null: the default of torch."""
    workers: int | None = field(default=None, metadata=FREE)
    """Number of worker processes that prepare batches in advance. null: 2 on CUDA (with pinned memory), else 0."""
    deterministic: bool = field(default=False, metadata=FREE)
    """Use deterministic kernels only. Slower on CUDA; computation on the CPU is always deterministic."""


@dataclass(frozen=True)
class RunConfig:
    """All settings of one training run.

    Example:
        >>> from mt_dnn import RunConfig
        >>> from mt_dnn.config.run import TrainConfig
        >>> config = RunConfig(name="rte", train=TrainConfig(epochs=5), smart="smart")
        >>> config.train.epochs, config.optim.lr
        (5, 5e-05)
    """

    name: str = field(default="run", metadata=FREE)
    """Name of the run and of its folder."""
    output_dir: str = field(default="runs", metadata=FREE)
    """Folder for runs. This run is written to {output_dir}/{name}."""
    seed: int = 2018
    """Random seed of the initialization, the order of the batches, dropout and noise."""
    resume: bool = field(default=False, metadata=FREE)
    """Continue from the newest checkpoint of this run, if there is one."""
    overwrite: bool = field(default=False, metadata=FREE)
    """Replace an existing run with the same name."""
    plugins: tuple[str, ...] = field(default=(), metadata=FREE)
    """Python modules that register kinds of your own: task types, metrics, loss terms and others (docs/plugins.md). Modules in the current folder are found. Importing a module runs its code."""
    trackers: tuple[str, ...] = field(default=("tensorboard",), metadata=FREE)
    """Trackers of the run besides metrics.jsonl, which is always written: tensorboard, wandb, mlflow, trackio and others. mt-dnn list tracker prints the names. Empty means metrics.jsonl alone."""
    tracker_options: dict[str, dict[str, Any]] = field(default_factory=dict, metadata=FREE)
    """Options of single trackers, {tracker: {option: value}}, such as {wandb: {project: glue}}. They are saved with the run: log in by the tracker's own command, and do not write keys here."""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    mixing: MixingConfig = field(default_factory=MixingConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    smart: str = field(default="off", metadata=FREE)
    """Preset for the fields of smoothness and proximal that are null: off, smart, mtdnn_release, r3f, freelb, rdrop, pdr_js or pdr_hellinger (mt_dnn/config/presets.py)."""
    smoothness: SmoothnessConfig = field(default_factory=SmoothnessConfig)
    proximal: ProximalConfig = field(default_factory=ProximalConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    terms: list[TermConfig] = field(default_factory=list)
    """Further loss terms, each with name, weight, weights and options: --terms+ '{"name": "l2_sp", "weight": 0.01}'."""
    system: SystemConfig = field(default_factory=SystemConfig)
