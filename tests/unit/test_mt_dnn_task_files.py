"""The task files of MT-DNN's repository: every kind of entry in them, and what is wrong with some."""

from __future__ import annotations

import pytest
import yaml

from data_utils.errors import UserError
from data_utils.registries import FORMATS
from mt_dnn.registries import TASK_TYPES
from mt_dnn.task_types import load_tasks

NLI = ["contradiction", "neutral", "entailment"]
ENTAILS = ["not_entailment", "entailment"]
CE = {"loss": "CeCriterion", "kd_loss": "MseCriterion", "adv_loss": "SymKlCriterion"}
MSE = {"loss": "MseCriterion", "kd_loss": "MseCriterion", "adv_loss": "MseCriterion"}
RANK, SPAN = CE | {"loss": "RankCeCriterion"}, CE | {"loss": "SpanCeCriterion"}
MATCHED = ["train", *(f"{m}_{s}" for s in ("dev", "test") for m in ("matched", "mismatched"))]
ALL_SPLITS = ["train", "dev", "test"]


def entry(data_format: str, task_type: str, n_class: int, metrics: str, **keys) -> dict:
    own = {"data_format": data_format, "task_type": task_type, "n_class": n_class}
    return {"enable_san": False} | own | {"metric_meta": metrics.split()} | keys


def pair(n_class: int = 2, metrics: str = "ACC", **keys) -> dict:
    return entry("PremiseAndOneHypothesis", "Classification", n_class, metrics, **keys)


def single(metrics: str = "ACC", **keys) -> dict:
    return entry("PremiseOnly", "Classification", 2, metrics, **keys)


def score(**keys) -> dict:
    return entry("PremiseAndOneHypothesis", "Regression", 1, "Pearson Spearman", **keys)


def words(labels: list[str], **keys) -> dict:
    labels = [*labels, "X", "CLS", "SEP"]
    own = {"labels": labels, "loss": "SeqCeCriterion", "split_names": ALL_SPLITS}
    return entry("Seqence", "SeqenceLabeling", len(labels), "SeqEval", **own, **keys)


def span(data_format: str, task_type: str = "Span", metric: str = "EmF1") -> dict:
    return entry(
        data_format, task_type, 2, metric, dropout_p=0.1, split_names=["train", "dev"], **SPAN
    )


def texts(task: dict) -> dict:
    return {k: v for k, v in task.items() if k != "labels"} | {"task_type": "SeqenceGeneration"}


def kinds(*names: str) -> list[str]:
    return [f"{mark}-{name}" for name in names for mark in ("B", "I")]


GLUE = {
    "cola": single("ACC MCC", dropout_p=0.05, **CE),
    "mnli": pair(3, labels=NLI, split_names=MATCHED, dropout_p=0.1, **CE),
    "mrpc": pair(2, "ACC F1", **CE),
    "qnli": pair(2, labels=ENTAILS, **CE),
    "qqp": pair(2, "ACC F1", **CE),
    "rte": pair(2, labels=ENTAILS, **CE),
    "scitail": pair(2, labels=["neutral", "entails"], **CE),
    "snli": pair(3, labels=NLI, **CE),
    "sst": single(**CE),
    "stsb": score(**MSE),
    "wnli": pair(**CE),
}
NER = {
    "ner": words(["O", *kinds("MISC", "PER", "ORG", "LOC")], dropout_p=0.3),
    "chunk": words([*kinds("ADJP", "NP", "VP"), "B-PRT", "O"], dropout_p=0.1),
}
POS = words([",", "\\", ":", ".", "''", '"', "(", ")", "$", "CC", "NN|SYM", "PRP$", "WP$"])
FILES = {
    "GLUE": GLUE,
    "GLUE for RoBERTa, losses left out": {
        name: {k: v for k, v in task.items() if k not in CE}
        | {"encoder_type": "ROBERTA", "enable_san": "hypothesis" in task["data_format"].lower()}
        for name, task in GLUE.items()
    },
    "GLUE as text": {
        name: texts(task) for name, task in GLUE.items() if name not in ("snli", "stsb")
    },
    "NER": NER,
    "NER for RoBERTa": {name: task | {"encoder_type": "ROBERTA"} for name, task in NER.items()},
    "SQuAD": {"squad": span("MRC"), "squad-v2": span("MRC")},
    "SQuAD, later": {
        "squad": span("CLUE_SPAN", metric="EmF12"),
        "squad-v2": span("CLUE_SPAN", "SpanYN", "EmF12"),
        "record": span("CLUE_SPAN"),
    },
    "SuperGLUE": {
        "boolq": pair(dropout_p=0.1, **CE),
        "copa": entry("PremiseAndMultiHypothesis", "Ranking", 1, "ACC", **RANK),
        "cb": pair(3, "F1MAC ACC", labels=NLI, dropout_p=0.1, **CE),
        "record": entry("ClozeChoice", "ClozeChoice", 1, "EmF1", **RANK),
        "wic": pair(**CE),
        "multirc": pair(**CE),
    },
    "masked words": {"mlm": entry("MLM", "MaskLM", 30522, "ACC", **CE | {"loss": "MlmCriterion"})},
    "ads": {
        "adsqk": pair(2, "ACC F1", loss="CeCriterion", kd_loss="MseCriterion")
        | {"enable_san": True}
    },
    "XNLI": {"xnli": pair(3, labels=NLI, split_names=ALL_SPLITS, dropout_p=0.2, **CE)},
    "one split": {"mnli": pair(3, labels=NLI, split_names=["train"], dropout_p=0, **CE)},
    "CLUE": {
        "labels": entry("CLUE_SEQ", "SeqenceLabeling", 3, "SeqEval", labels=["O", "B-x", "I-x"]),
        "topics": entry("CLUE_CLASSIFICATION", "Classification", 5, "ACC"),
    },
}
CONTRADICTORY = {
    "anli": pair(3, labels=["c", "n", "e"], split_names=["train", "dev", "test"], **CE),
    "fever": pair(2, labels=NLI, split_names=["train"], **CE),
    "stsb": texts(score(**MSE)),
}


def written(tmp_path, entries: dict) -> str:
    path = tmp_path / "tasks.yml"
    path.write_text(yaml.safe_dump(entries, sort_keys=False))
    return str(path)


@pytest.mark.filterwarnings("ignore:.*encoder_type:UserWarning")
@pytest.mark.parametrize("name", FILES)
def test_every_file_loads(tmp_path, name):
    tasks = load_tasks(written(tmp_path, FILES[name]))
    assert list(tasks) == list(FILES[name])
    for task in tasks.values():
        assert task.task_type in TASK_TYPES.names()
        assert task.data_format in FORMATS.names()


def test_names_of_formats():
    formats = {"CLUE_SPAN": "MRC", "CLUE_SEQ": "Sequence", "CLUE_CLASSIFICATION": "PremiseOnly"}
    for theirs, ours in formats.items():
        assert FORMATS.canonical(theirs) == ours
        assert theirs not in TASK_TYPES


def test_an_encoder_type_is_ignored_with_a_warning(tmp_path):
    path = written(tmp_path, {"sst": single(encoder_type="BERT")})
    with pytest.warns(
        UserWarning, match=r"tasks\.yml:1: task 'sst': key 'encoder_type' is ignored"
    ):
        load_tasks(path)


def test_a_contradiction_stops_the_runs_that_use_its_entry(tmp_path):
    path = written(tmp_path, CONTRADICTORY)
    assert list(load_tasks(path, ["anli"])) == ["anli"]
    for use in ([], ["fever"], ["anli", "fever"]):
        with pytest.raises(UserError, match=r"task 'fever': n_class: 2 but 3 labels"):
            load_tasks(path, use)
    with pytest.raises(UserError, match=r"task 'stsb': loss: 'MseCriterion' does not fit"):
        load_tasks(path, ["stsb"])


@pytest.mark.parametrize(
    "fault",
    [{"n_clas": 2}, {"metric_meta": ["ACCU"]}, {"data_format": "CLUE_GEN"}, {"labels": [None]}],
)
def test_other_faults_stop_only_their_own_task_too(tmp_path, fault):
    path = written(tmp_path, {"good": single(), "bad": single() | fault, "text": "a word"})
    assert list(load_tasks(path, ["good"])) == ["good"]
    for name in ("bad", "text"):
        with pytest.raises(UserError, match=f"task '{name}'"):
            load_tasks(path, [name])


def test_an_unknown_name_gives_the_names_of_the_file(tmp_path):
    path = written(tmp_path, CONTRADICTORY)
    with pytest.raises(
        UserError, match=r"^data\.use: x has no task 'fevr'\. Did you mean 'fever'\?"
    ):
        load_tasks(path, ["fevr"], where="data.use: x")


def test_tags_that_are_punctuation(tmp_path):
    task = load_tasks(written(tmp_path, {"pos": POS | {"metric_meta": ["ACC"]}}))["pos"]
    assert task.labels == tuple(POS["labels"])
