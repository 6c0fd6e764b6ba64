"""Suggest settings for an unknown name."""

from __future__ import annotations

from collections.abc import Sequence

from data_utils.registry import choices_hint

SYNONYMS = {
    "learning_rate": "optim.lr",
    "encoder_lr": "optim.lr",
    "head_learning_rate": "optim.head_lr",
    "optimizer": "optim.name",
    "adam_epsilon": "optim.eps",
    "adam_eps": "optim.eps",
    "adam_betas": "optim.betas",
    "wd": "optim.weight_decay",
    "llrd": "optim.layer_decay",
    "warmup_ratio": "optim.warmup",
    "warmup_proportion": "optim.warmup",
    "warmup_steps": "optim.warmup",
    "lr_scheduler": "optim.schedule",
    "lr_scheduler_type": "optim.schedule",
    "scheduler": "optim.schedule",
    "scheduler_type": "optim.schedule",
    "max_grad_norm": "optim.clip_norm",
    "gradient_clip_val": "optim.clip_norm",
    "grad_clip": "optim.clip_norm",
    "global_grad_clipping": "optim.clip_norm",
    "batch_size": "batch.size",
    "train_batch_size": "batch.size",
    "per_device_train_batch_size": "batch.size",
    "batch_size_eval": "batch.eval_size",
    "eval_batch_size": "batch.eval_size",
    "per_device_eval_batch_size": "batch.eval_size",
    "gradient_accumulation": "batch.accumulate",
    "gradient_accumulation_steps": "batch.accumulate",
    "grad_accumulation_step": "batch.accumulate",
    "bin_on": "batch.group_by_length",
    "num_epochs": "train.epochs",
    "num_train_epochs": "train.epochs",
    "max_epochs": "train.epochs",
    "epoch": "train.epochs",
    "num_steps": "train.max_steps",
    "max_train_steps": "train.max_steps",
    "eval_steps": "train.eval_every",
    "save_steps": "train.save_every",
    "logging_steps": "train.log_every",
    "log_per_updates": "train.log_every",
    "save_per_updates": "train.save_every",
    "save_total_limit": "train.keep",
    "early_stopping": "train.patience",
    "early_stopping_patience": "train.patience",
    "max_length": "data.max_seq_len",
    "max_len": "data.max_seq_len",
    "max_seq_length": "data.max_seq_len",
    "sequence_length": "data.max_seq_len",
    "task_def": "data.tasks",
    "tasks_file": "data.tasks",
    "train_datasets": "data.use",
    "max_train_samples": "data.train_limit",
    "max_eval_samples": "data.eval_limit",
    "model_name": "model.encoder",
    "model_name_or_path": "model.encoder",
    "pretrained_model": "model.encoder",
    "bert_model_type": "model.encoder",
    "init_checkpoint": "model.init_from",
    "checkpoint": "model.init_from",
    "dropout_p": "model.dropout",
    "bert_dropout_p": "model.encoder_dropout",
    "hidden_dropout": "model.encoder_dropout",
    "num_hidden_layers": "model.num_layers",
    "fp16": "system.precision",
    "bf16": "system.precision",
    "mixed_precision": "system.precision",
    "num_workers": "system.workers",
    "dataloader_num_workers": "system.workers",
    "random_seed": "seed",
    "run_name": "name",
    "adv_train": "smart",
    "adv_alpha": "smoothness.weight",
    "adv_epsilon": "smoothness.epsilon",
    "adv_step_size": "smoothness.step_size",
    "adv_k": "smoothness.steps",
    "adv_noise_var": "smoothness.sigma",
}
"""What other programs call a setting -> our setting."""


def similar_settings(key: str, known: Sequence[str]) -> str:
    """Suggest settings for an unknown one: the end of an error message.

    A synonym comes first, then settings with the same last word in other sections. Otherwise suggest
    the nearest setting of the same section and list them all.
    """
    section, _, word = key.rpartition(".")
    if (ours := SYNONYMS.get(word.lower().replace("-", "_"))) in known:
        return f" Did you mean {ours}?"
    if elsewhere := [name for name in known if name.rpartition(".")[2] == word]:
        return f" Did you mean {' or '.join(elsewhere)}?"
    return choices_hint(key, [name for name in known if name.rpartition(".")[0] == section])
