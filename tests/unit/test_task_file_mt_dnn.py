"""MT-DNN's own task files load unchanged, and what a run writes reads back the same."""

from __future__ import annotations

import dataclasses

from data_utils.task_def import TaskDef, dataset_name
from mt_dnn.runs.run_dir import tasks_yaml

CLASSIFICATION = """\
  enable_san: false
  loss: CeCriterion
  kd_loss: MseCriterion
  adv_loss: SymKlCriterion
  task_type: Classification
"""
GLUE = f"""\
cola:
  data_format: PremiseOnly
  dropout_p: 0.05
  metric_meta:
  - ACC
  - MCC
  n_class: 2
{CLASSIFICATION}
mnli:
  data_format: PremiseAndOneHypothesis
  dropout_p: 0.3
  labels:
  - contradiction
  - neutral
  - entailment
  metric_meta:
  - ACC
  n_class: 3
  split_names:
  - train
  - matched_dev
  - mismatched_dev
  - matched_test
  - mismatched_test
{CLASSIFICATION}
qnnli:
  data_format: PremiseAndMultiHypothesis
  enable_san: true
  labels:
  - not_entailment
  - entailment
  metric_meta:
  - ACC
  n_class: 1
  loss: RankCeCriterion
  kd_loss: MseCriterion
  adv_loss: SymKlCriterion
  task_type: Ranking
stsb:
  data_format: PremiseAndOneHypothesis
  enable_san: false
  metric_meta:
  - Pearson
  - Spearman
  n_class: 1
  loss: MseCriterion
  kd_loss: MseCriterion
  adv_loss: MseCriterion
  task_type: Regression
"""


def test_an_mt_dnn_task_file_loads_unchanged(load):
    tasks = load(GLUE)
    cola, mnli, qnnli, stsb = tasks.values()
    assert (cola.dropout, cola.metrics, cola.labels) == (0.05, ("ACC", "MCC"), ())
    assert cola.encode_label("1") == 1
    assert (cola.kd_loss, cola.adv_loss) == ("mean_squared_error", "symmetric_kl")
    assert mnli.splits("dev") == ["matched_dev", "mismatched_dev"]
    assert [dataset_name("mnli", s) for s in mnli.splits("dev")] == [
        "mnli_matched",
        "mnli_mismatched",
    ]
    assert (qnnli.n_class, qnnli.labels) == (1, ("not_entailment", "entailment"))
    assert qnnli.encode_label("entailment") == 1
    assert qnnli.enable_san
    assert stsb.adv_loss == "squared_error"
    assert stsb.encode_label("3.5") == 3.5


def test_what_a_run_writes_reads_back_the_same(load):
    text = GLUE + (
        "rte:\n  extends: mnli\n  labels: [a, b]\n  n_class: 2\n  split_names: [train, dev]\n"
        "  source: {hub: glue, config: rte, columns: {premise: s}, splits: {dev: validation}}\n"
    )
    tasks = load(text)

    def content(tasks: dict[str, TaskDef]) -> list[TaskDef]:
        return [dataclasses.replace(task, where="") for task in tasks.values()]

    assert content(load(tasks_yaml(tasks))) == content(tasks)
