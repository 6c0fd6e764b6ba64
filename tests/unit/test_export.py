"""What is published computes what the run does: every architecture, every kind of head, every refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from torch import Tensor

from data_utils.collator import Batch
from data_utils.errors import UserError
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.pretrained import load_tokenizer, quiet
from mt_dnn.model import MTDNN
from mt_dnn.publish import auto_model
from mt_dnn.publish.auto_model import (
    LAYERS,
    SEQUENCE,
    Layers,
    build_auto_model,
    check_encoder,
    check_task,
    encoder_class,
)
from mt_dnn.publish.export import export
from tests.support.encoders import ARCHITECTURES, VOCAB, tiny_encoder
from tests.support.model_folders import scattered, tasks_of, write_model

TASKS = """\
classes: {data_format: PremiseOnly, task_type: Classification, labels: [never, always, maybe], metric_meta: [ACC]}
counted: {data_format: PremiseOnly, task_type: Classification, n_class: 2, metric_meta: [ACC]}
number: {data_format: PremiseOnly, task_type: Regression, n_class: 1, metric_meta: [Pearson]}
topics: {data_format: PremiseOnly, task_type: MultiLabel, labels: [art, sport], metric_meta: [F1MIC]}
topic: {data_format: PremiseOnly, task_type: MultiLabel, n_class: 1, metric_meta: [F1MIC]}
words: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, B, I], metric_meta: [ACC]}
span: {data_format: MRC, task_type: Span, metric_meta: [EM]}
span_or_none: {data_format: MRC, task_type: SpanYN, metric_meta: [EM]}
choice: {data_format: PremiseAndMultiHypothesis, task_type: MultipleChoice, labels: [wrong, right], metric_meta: [ACC]}
ranking: {data_format: PremiseAndMultiHypothesis, task_type: Ranking, metric_meta: [ACC]}
gap: {data_format: ClozeChoice, task_type: ClozeChoice, metric_meta: [ReCoRDEM]}
"""
CLASSES = {  # and the problem_type of its config
    "classes": ("SequenceClassification", "single_label_classification"),
    "counted": ("SequenceClassification", "single_label_classification"),
    "number": ("SequenceClassification", "regression"),
    "topics": ("SequenceClassification", "multi_label_classification"),
    "topic": ("SequenceClassification", "multi_label_classification"),
    "words": ("TokenClassification", None),
    "span": ("QuestionAnswering", None),
    "span_or_none": ("QuestionAnswering", None),
    "choice": ("MultipleChoice", None),
    "ranking": ("MultipleChoice", None),
    "gap": ("MultipleChoice", None),
}
LABELS = {
    "classes": {0: "never", 1: "always", 2: "maybe"},
    "counted": {0: "LABEL_0", 1: "LABEL_1"},
    "number": {0: "LABEL_0"},
    "topics": {0: "art", 1: "sport"},
    "words": {0: "O", 1: "B", 2: "I"},
}
ACTIVATIONS = {
    "albert": "tanh",
    "bert": "tanh",
    "camembert": "tanh",
    "deberta-v2": "tanh",  # any
    "distilbert": "relu",
    "electra": "gelu",
    "mpnet": "tanh",
    "roberta": "tanh",
    "xlm-roberta": "tanh",
}
"""What the heads of the architectures compute."""


def encoder_of(architecture: str) -> Encoder:
    if architecture != "camembert":
        return tiny_encoder(architecture)
    values = ARCHITECTURES["roberta"]().to_dict() | {"model_type": "camembert"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Encoder.from_config(hf.CamembertConfig.from_dict(values)).eval()


def model_of(architecture: str, folder: Path, text: str = TASKS, **settings: Any) -> MTDNN:
    settings = {"activation": ACTIVATIONS.get(architecture, "tanh")} | settings
    return scattered(encoder_of(architecture), tasks_of(folder, text), **settings)


def batch_for(model: MTDNN, task: str, lengths=(11, 3, 8, 6, 2, 11)) -> Batch:
    """Sequences, which are also two questions with three candidates each."""
    generator = torch.Generator().manual_seed(5)
    width = max(lengths)
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(5, VOCAB, mask.shape, generator=generator)
    return Batch(
        task=task,
        uids=["one", "two"],
        input_ids=ids.masked_fill(mask == 0, model.encoder.config.pad_token_id),
        attention_mask=mask,
        token_type_ids=(torch.arange(width) >= 4).long() * mask,
        candidate_mask=torch.ones(2, 3, dtype=torch.bool),
    )


def inputs_of(model: MTDNN, batch: Batch) -> dict[str, Tensor]:
    names = ["input_ids", "attention_mask"]
    return {
        name: getattr(batch, name)
        for name in (*names, *(["token_type_ids"] if model.encoder.has_token_types else []))
    }


def saved(built: hf.PreTrainedModel, folder: Path) -> Path:
    with quiet():
        built.save_pretrained(folder)
    return folder


@torch.no_grad()
def assert_same_logits(folder: Path, model: MTDNN, task: str) -> None:
    """The folder as any user of transformers loads it, on sequences of this file's own."""
    kind, problem = CLASSES[task]
    with quiet():
        loaded = getattr(hf, f"AutoModelFor{kind}").from_pretrained(folder).eval()
    assert loaded.config.problem_type == problem
    assert task not in LABELS or loaded.config.id2label == LABELS[task]
    assert loaded.config.label2id == {v: k for k, v in loaded.config.id2label.items()}
    batch = batch_for(model, task)
    expected, inputs = model.infer(batch), inputs_of(model, batch)
    if kind == "MultipleChoice":
        inputs = {name: tensor.unflatten(0, (2, 3)) for name, tensor in inputs.items()}
    outputs = loaded(**inputs)
    if kind == "QuestionAnswering":
        found = torch.stack([outputs.start_logits, outputs.end_logits], -1)
    else:
        found = outputs.logits
    assert found.shape == expected.shape
    assert expected.std() > 1e-3  # else anything would do
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("architecture", ACTIVATIONS)
def test_logits_are_those_of_the_run(architecture, tmp_path):
    model = model_of(architecture, tmp_path)
    tasks = CLASSES if architecture == "bert" else ("classes", "words", "span", "choice")
    for task in tasks:
        folder = saved(build_auto_model(model, task), tmp_path / task)
        check_task(folder, model, task)
        assert_same_logits(folder, model, task)


def test_the_encoder_of_t5_labels_words(tmp_path):
    model = model_of("t5", tmp_path)
    folder = saved(build_auto_model(model, "words"), tmp_path / "words")
    check_task(folder, model, "words")
    assert_same_logits(folder, model, "words")


def test_everything_in_the_table_is_tested():
    assert set(LAYERS) == {*ACTIVATIONS, "t5"}


@pytest.mark.parametrize(
    ("architecture", "task"),
    [("deberta-v2", "classes"), ("deberta-v2", "choice"), ("electra", "gap")],
)
@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
def test_where_the_config_names_the_activation_it_may_be_any(
    architecture, task, activation, tmp_path
):
    model = model_of(architecture, tmp_path, activation=activation)
    folder = saved(build_auto_model(model, task), tmp_path / "out")
    assert_same_logits(folder, model, task)


SAN = "pair: {data_format: PremiseAndOneHypothesis, task_type: Classification, n_class: 2, metric_meta: [ACC], enable_san: true}"
HIDDEN = "hidden: {data_format: MLM, task_type: MaskLM, metric_meta: [Perplexity]}"
ONE = "one: {{data_format: PremiseOnly, task_type: Classification, n_class: 2, metric_meta: [ACC], {}}}"


@pytest.mark.parametrize(
    ("architecture", "text", "message"),
    [
        *(
            ("bert", ONE.format(f"pooling: {how}"), f"pooling {how} .*the first token, cls")
            for how in ("mean", "max", "attention")
        ),
        (
            "bert",
            SAN.replace("enable_san: true", "pooling: pair"),
            "pooling pair .*the first token",
        ),
        ("bert", ONE.format("actf: gelu"), "actf gelu .*Classification of bert has tanh"),
        ("bert", ONE.format("actf: none"), "actf none .*Classification of bert has tanh"),
        ("deberta-v2", ONE.format("actf: none"), "actf none .* has tanh or gelu or relu"),
        ("electra", ONE.format("actf: tanh"), "actf tanh .* of electra has gelu"),
        ("distilbert", ONE.format("actf: tanh"), "actf tanh .* of distilbert has relu"),
        ("bert", SAN, "enable_san"),
        ("bert", HIDDEN, "task_type MaskLM"),
        (
            "modernbert",
            ONE.format("actf: gelu"),
            "encoder modernbert; .* same head on: albert, bert,",
        ),
        ("nezha", ONE.format("actf: tanh"), "encoder nezha;"),
        ("t5", ONE.format("actf: tanh"), "encoder t5;"),
    ],
)
def test_a_head_that_transformers_lacks_is_refused_by_its_setting(
    architecture, text, message, tmp_path
):
    model = model_of(architecture, tmp_path, text)
    (task,) = model.tasks
    with pytest.raises(
        UserError, match=rf"task '{task}' .*{message}.*Load the run with mt_dnn\.load"
    ):
        build_auto_model(model, task)


def test_a_mapping_to_another_function_is_found_out(tmp_path, monkeypatch):
    """The table says that BERT's classifier has a gelu; it has a tanh."""
    model = model_of("bert", tmp_path, activation="gelu")
    wrong = Layers("classifier", "bert.pooler.dense", "gelu")
    monkeypatch.setitem(LAYERS["bert"], SEQUENCE, wrong)
    folder = saved(build_auto_model(model, "classes"), tmp_path / "out")
    with pytest.raises(UserError, match="its logits would differ from the run's"):
        check_task(folder, model, "classes")


def test_a_mapping_to_names_that_are_not_there_is_found_out(tmp_path, monkeypatch):
    model = model_of("bert", tmp_path)
    monkeypatch.setitem(LAYERS["bert"], SEQUENCE, Layers("classifier", "pooler.dense", "tanh"))
    with pytest.raises(UserError, match=r"Missing key.*bert\.pooler\.dense\.weight"):
        build_auto_model(model, "classes")


@pytest.mark.parametrize("task", ["classes", "words", "span", "choice"])
def test_weights_that_are_not_the_runs_are_found_out(task, tmp_path):
    model = model_of("bert", tmp_path)
    folder = saved(build_auto_model(model, task), tmp_path / "out")
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name in ("classifier.weight", "qa_outputs.weight"))
    weights[name] = weights[name] * 1.0001
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="its logits would differ"):
        check_task(folder, model, task)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_the_encoder_is_the_runs_to_the_last_bit(architecture, tmp_path):
    model = model_of(architecture, tmp_path, ONE.format(""))
    model.encoder.save_pretrained(tmp_path / "out")
    name = encoder_class(model.encoder)
    assert name == ("AutoModelForTextEncoding" if architecture == "t5" else "AutoModel")
    check_encoder(tmp_path / "out", model)
    with quiet():
        loaded = getattr(hf, name).from_pretrained(tmp_path / "out").eval()
    batch = batch_for(model, "one")
    expected = model.encode(model.embed(batch), batch)
    assert torch.equal(loaded(**inputs_of(model, batch)).last_hidden_state, expected)


def test_an_encoder_that_is_not_the_runs_is_found_out(tmp_path):
    model = model_of("bert", tmp_path)
    model.encoder.save_pretrained(tmp_path / "out")
    weights = load_file(tmp_path / "out" / "model.safetensors")
    weights["encoder.layer.1.output.LayerNorm.bias"][3] += 1e-6
    save_file(weights, tmp_path / "out" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="BertModel gives other embeddings"):
        check_encoder(tmp_path / "out", model)


@pytest.fixture
def best(encoder_folder, tmp_path) -> tuple[Path, MTDNN]:
    """The best model of a run on BERT, on disk and in memory."""
    run = tmp_path / "run"
    model = write_model(run / "best", tasks_of(tmp_path, TASKS), encoder_folder)
    return run, model.eval()


def test_export_writes_a_folder_that_stands_alone(best, tmp_path):
    run, model = best
    assert export(str(run), str(tmp_path / "out"), task="classes") == SEQUENCE
    assert_same_logits(tmp_path / "out", model, "classes")
    own, theirs = (load_tokenizer(str(folder)) for folder in (run / "best", tmp_path / "out"))
    assert theirs("A dog, a cat.", "Yes!") == own("A dog, a cat.", "Yes!")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Task classes (Classification)" in card
    assert "sequences of up to 32 tokens" in card
    assert "classes | ACC | 50.00" in card
    assert "counted | ACC" not in card  # another task's score
    assert 'AutoModelForSequenceClassification.from_pretrained("out")' in card
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert not written & {"heads.safetensors", "tasks.yml", "mt_dnn.json"}
    text = "".join(path.read_text() for path in (tmp_path / "out").glob("*.json"))
    assert str(tmp_path) not in text


def test_a_wrong_export_leaves_nothing(best, tmp_path, monkeypatch):
    run, model = best
    head = model.heads["classes"]
    assert isinstance(head, auto_model.PooledHead)
    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setitem(
        LAYERS["bert"], SEQUENCE, Layers("classifier", "bert.pooler.dense", "tanh", "hidden_act")
    )  # another hidden_act in the encoder
    with pytest.raises(UserError, match="its logits would differ"):
        export(str(run), str(tmp_path / "out"), task="classes")
    assert {path.name for path in tmp_path.iterdir()} == before


def test_what_is_there_stays_unless_it_may_go(best, tmp_path):
    run, _ = best
    out = tmp_path / "out"
    export(str(run), str(out))
    (out / "mark").write_text("mine")
    with pytest.raises(UserError, match="is not empty; add --overwrite"):
        export(str(run), str(out), task="words")
    with pytest.raises(UserError, match="contains mark, which is no part of a model"):
        export(str(run), str(out), task="words", overwrite=True)
    assert (out / "mark").read_text() == "mine"
    (out / "mark").unlink()
    assert export(str(run), str(out), task="words", overwrite=True) == auto_model.TOKEN
    other = tmp_path / "documents"
    other.mkdir()
    (other / "letter").write_text("dear")
    with pytest.raises(UserError, match="is not a model folder"):
        export(str(run), str(other), overwrite=True)
    with pytest.raises(UserError, match="is a file"):
        export(str(run), str(other / "letter"), overwrite=True)
    assert (other / "letter").read_text() == "dear"
    (empty := tmp_path / "empty").mkdir()
    assert export(str(run), str(empty)) == "AutoModel"


@pytest.mark.parametrize("place", ["run", "run/best", "."])
def test_the_run_itself_is_never_replaced(best, tmp_path, place):
    run, _ = best
    with pytest.raises(UserError, match="contains the input model"):
        export(str(run), str(tmp_path / place), overwrite=True)
    with pytest.raises(UserError, match="contains the input model"):
        export(str(run / "best"), str(tmp_path / place), overwrite=True)
    assert (run / "best" / "mt_dnn.json").exists()
