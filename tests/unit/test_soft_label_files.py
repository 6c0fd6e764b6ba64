"""Which files of a folder hold the soft labels of which tasks."""

from __future__ import annotations

import dataclasses

import pytest

from data_utils.errors import UserError
from mt_dnn.config.run import DistillConfig
from mt_dnn.registries import TASK_TYPES
from mt_dnn.runs.splits import soft_label_files
from tests.support.tasks import make_task

TASK = make_task(labels=("no", "yes"))


def test_a_task_without_a_file_goes_without_teacher(tmp_path):
    (tmp_path / "t_train.jsonl").write_text("never read")
    span = dataclasses.replace(make_task("Span"), name="s", where="tasks.yml:9: task 's'")
    tasks = {"t": TASK, "s": span}
    on = DistillConfig(soft_labels=str(tmp_path))
    assert soft_label_files(tasks, on) == {"t": tmp_path / "t_train.jsonl"}
    for off in (DistillConfig(), dataclasses.replace(on, weight=0.0)):
        assert soft_label_files(tasks, off) == {}


def test_no_file_at_all_lists_what_was_looked_for(tmp_path):
    tasks = {"t": TASK, "u": dataclasses.replace(TASK, name="u")}
    with pytest.raises(UserError) as error:
        soft_label_files(tasks, DistillConfig(soft_labels=str(tmp_path)))
    for name in ("distill.soft_labels: none", "t_train.jsonl", "u_train.jsonl", str(tmp_path)):
        assert name in str(error.value)


@pytest.mark.parametrize(
    "kind", [name for name in TASK_TYPES.names() if TASK_TYPES.get(name).kd_loss is None]
)
def test_types_that_cannot_be_distilled_are_refused(tmp_path, kind):
    (tmp_path / "t_train.jsonl").write_text("never read")
    task = dataclasses.replace(make_task(kind), where="tasks.yml:9: task 't'")
    with pytest.raises(UserError) as error:
        soft_label_files({"t": task}, DistillConfig(soft_labels=str(tmp_path)))
    assert f"tasks.yml:9: task 't': {kind} cannot be distilled" in str(error.value)
    assert "SequenceLabeling" in str(error.value)
