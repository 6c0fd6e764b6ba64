"""docs/from-mt-dnn.md: its table has every flag of MT-DNN's train.py, and each setting in it exists."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from mt_dnn.config.parser import settings
from mt_dnn.registries import OPTIMIZERS, SCHEDULES
from tests.support.documents import ROOT, table

PAGE = ROOT / "docs" / "from-mt-dnn.md"
NAMES = """
    adam_eps adv_alpha adv_epsilon adv_k adv_noise_var adv_norm_level adv_opt adv_p_norm adv_step_size adv_train
    answer_att_hidden_size answer_att_type answer_dropout_p answer_mem_drop_p answer_mem_type answer_merge_opt
    answer_num_turn answer_opt answer_rnn_type answer_sum_att_type answer_weight_norm_on backend batch_size
    batch_size_eval bert_dropout_p bert_model_type bin_grow_ratio bin_on bin_size cuda data_dir data_sort_on
    dataloader_num_workers debug do_lower_case do_padding dropout_p dropout_w dump_state_on encode_mode encoder_type
    epochs fp16 fp16_opt_level global_grad_clipping glue_format_on grad_accumulation_step grad_clipping init_checkpoint
    init_ratio learning_rate local_rank log_file log_per_updates masked_lm_prob master_addr master_port max_answer_len
    max_predictions_per_seq max_seq_len mem_cum_type mix_opt mkd_opt model_ckpt momentum mtl_opt multi_gpu_on name
    num_hidden_layers optimizer output_dir pooler_actf ratio resume save_per_updates save_per_updates_on
    scheduler_type seed short_seq_prob task_def tensorboard tensorboard_logdir test_datasets tokenizer train_datasets
    transformer_cache update_bert_opt vb_dropout warmup warmup_schedule weight_decay world_size
"""
FLAGS = NAMES.split()
KNOWN = {name for name, _ in settings()}
MAPPINGS = ("optim.options.", "optim.schedule_options.")
"""Settings whose last word is an option of a kind."""


def rows() -> list[list[str]]:
    return table(PAGE, "MT-DNN")


def test_the_list_is_complete():
    assert len(FLAGS) == len(set(FLAGS)) == 92


def test_every_flag_has_its_row():
    found = Counter(flag for theirs, _ in rows() for flag in re.findall(r"`--(\w+)", theirs))
    assert found == Counter(FLAGS)


def test_every_setting_of_the_table_exists():
    named = [name for _, ours in rows() for name in re.findall(r"`--([\w.]+)", ours)]
    assert len(named) > 40
    for name in named:
        assert name in KNOWN or name.startswith(MAPPINGS) or name == "export_jsonl", name


@pytest.mark.parametrize(
    ("flag", "word"),
    [
        ("weight_decay", "0.01"),
        ("adam_eps", "never read"),
        ("bert_dropout_p", "model.encoder_dropout"),
        ("num_hidden_layers", "model.num_layers"),
        ("answer_num_turn", "san_steps"),
        ("answer_mem_drop_p", "san_prediction_dropout"),
    ],
)
def test_what_a_flag_becomes(flag, word):
    (ours,) = [ours for theirs, ours in rows() if f"`--{flag}`" in theirs]
    assert word in ours


def test_kinds_that_the_table_names_are_registered():
    text = PAGE.read_text(encoding="utf-8")
    for registry, names in (
        (OPTIMIZERS, "adamax radam sgd"),
        (SCHEDULES, "linear cosine constant polynomial"),
    ):
        for name in names.split():
            assert name in registry
            assert name in text
