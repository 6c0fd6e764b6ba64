"""Adapters: their mathematics, what trains, and what is refused."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from data_utils.errors import UserError
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.run import ModelConfig, OptimConfig, RunConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.config.unused import settings_without_effect
from mt_dnn.encoders.adapters import AdaptedEncoder, adapted, linear_layers, plain_name
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.load import load_encoder
from mt_dnn.model import MTDNN
from mt_dnn.objective.objective import Objective
from mt_dnn.objective.smart import ProximalTerm, SmoothnessTerm
from mt_dnn.objective.step import Step
from mt_dnn.registries import ADAPTERS
from mt_dnn.training.gradients import collect_gradients, sum_gradients
from mt_dnn.training.optim import freeze, parameter_groups
from tests.support.adapters import BATCH, hidden, lora, move
from tests.support.encoders import ARCHITECTURES, tiny_encoder, tiny_encoder_folder
from tests.support.model_folders import tasks_of
from tests.support.three_tasks import make_model, task_batch

TASKS = """\
pair: {data_format: PremiseAndOneHypothesis, task_type: Classification, labels: [same, other], metric_meta: [ACC]}
"""


def adapted_model(**options: Any) -> MTDNN:
    """Three tasks on an adapted encoder whose B is not 0, without dropout."""
    model = make_model(dropout=False)
    model.encoder = adapted(model.encoder, lora(**options))
    move(model.encoder)
    return model.eval()


def merged_model(model: MTDNN) -> MTDNN:
    """The same function with whole weights."""
    plain = make_model(dropout=False)
    plain.encoder.model.load_state_dict(model.encoder.weights())
    return plain


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_adapter_starts_at_nothing_and_merges(architecture, tmp_path):
    encoder = tiny_encoder(architecture)
    before = hidden(encoder)
    own = adapted(encoder, lora(r=3))
    assert torch.equal(hidden(own), before)
    move(own)
    moved = hidden(own)
    assert (moved - before).abs().max() > 0.05
    with torch.no_grad():  # the two steps are still one forward pass, to the last bit
        mask = BATCH.attention_mask
        whole = own.model(input_ids=BATCH.input_ids, attention_mask=mask).last_hidden_state
    if architecture not in ("roberta", "xlm-roberta", "mpnet"):  # BATCH pads with another token
        assert torch.equal(whole[mask.bool()], moved)
    own.save_pretrained(tmp_path)
    torch.testing.assert_close(hidden(load_encoder(str(tmp_path))), moved, rtol=0, atol=1e-5)
    again = adapted(tiny_encoder(architecture), lora(r=3))
    again.load_weights(tmp_path)
    assert torch.equal(hidden(again), moved)


def test_lora_by_hand():
    """W + alpha / r B A, and the gradients of A and B by the chain rule from that of W."""
    encoder = adapted(tiny_encoder(), lora(r=2, alpha=6, targets="query"))
    move(encoder)
    name = "encoder.layer.1.attention.self.query"
    layer = encoder.model.get_submodule(name)
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    merged = encoder.weights()
    expected = layer.base_layer.weight + 6 / 2 * b @ a
    torch.testing.assert_close(merged[f"{name}.weight"], expected.detach())

    def loss(encoder: Encoder) -> Tensor:
        return encoder.encode(encoder.embed(BATCH.input_ids), BATCH.attention_mask).square().sum()

    plain = tiny_encoder()
    plain.model.load_state_dict(merged)
    loss(plain).backward()
    loss(encoder).backward()
    gradient = plain.model.get_parameter(f"{name}.weight").grad
    assert gradient is not None
    torch.testing.assert_close(b.grad, 3 * gradient @ a.T, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(a.grad, 3 * b.T @ gradient, rtol=1e-3, atol=1e-3)


def test_the_adapter_and_the_heads_train_and_nothing_else():
    model = adapted_model()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (".lora_" in name or name.startswith("heads.")), name
    names = [plain_name(name) for name, _ in model.named_parameters()]
    assert set(dict(make_model(dropout=False).named_parameters())) < set(names)
    assert len(set(names)) == len(names)


def test_heads_start_as_in_a_run_without_an_adapter(tmp_path):
    folder = tiny_encoder_folder(tmp_path / "encoder")
    tasks = tasks_of(tmp_path, TASKS)

    def build(config: ModelConfig) -> dict[str, Tensor]:
        torch.manual_seed(5)
        return dict(MTDNN.from_pretrained(folder, tasks, config).state_dict())

    plain, own, again = build(ModelConfig()), build(lora()), build(lora())
    assert all(torch.equal(own[name], again[name]) for name in own)
    for name in plain:
        assert torch.equal(plain[name], {plain_name(n): w for n, w in own.items()}[name]), name
    torch.manual_seed(6)
    other = MTDNN.from_pretrained(folder, tasks, lora()).state_dict()
    name = next(name for name in own if ".lora_A." in name)
    assert not torch.equal(own[name], other[name])


def test_layers_have_their_rates_and_matrices_decay():
    model = adapted_model()
    groups = parameter_groups(model, OptimConfig(lr=1.0, head_lr=7.0, layer_decay=0.5))
    found = {name: group for group in groups for name, _ in group["params"]}
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert sorted(found) == sorted(trained)
    for name, group in found.items():
        if name.startswith("heads."):
            assert group["lr"] == 7.0
        else:
            assert group["lr"] == {"0": 0.25, "1": 0.5}[name.split(".layer.")[1][0]], name
            assert group["weight_decay"] > 0
    assert {group["name"] for group in groups} == {"layer_1", "layer_2", "heads"}


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("encoder.*", 0),
        ("encoder.model.encoder.layer.0.*", 12),
        ("encoder.*.query.lora_A.weight", 22),
        ("encoder.*.query.*", 20),
        ("encoder.*.query.weight", 24),  # frozen already
    ],
)
def test_patterns_of_frozen_parameters_use_plain_names(pattern, left):
    model = adapted_model()
    freeze(model, (pattern,))
    trained = [p for p in model.encoder.parameters() if p.requires_grad]
    assert len(trained) == left
    with pytest.raises(UserError, match=r"matches no parameter\..* Choices: (?!.*base_l)"):
        freeze(model, ("*.base_layer.*",))


def test_smoothness_and_the_supervised_gradient_are_those_of_the_merged_model():
    """The ball is around the same word embeddings, and the term is the same function of them."""
    model = adapted_model()
    plain = merged_model(model)
    batch = task_batch("c")
    assert torch.equal(model.embed(batch), plain.embed(batch))
    values = {}
    for name, each in (("own", model), ("plain", plain)):
        term = SmoothnessTerm(each, SmoothnessConfig(epsilon=1e-2), "smart")
        values[name] = term.compute(Step.from_batch(each, batch, seed=3))
        delta = term.perturbation(Step.from_batch(each, batch, seed=3))
        assert delta.shape == each.embed(batch).shape
    torch.testing.assert_close(values["own"], values["plain"], rtol=1e-3, atol=0)
    values["own"].backward()
    moved = [p for p in model.encoder.parameters() if p.grad is not None and p.grad.any()]
    assert moved
    assert all(p.requires_grad for p in moved)


def test_the_teacher_averages_what_trains_and_shares_the_rest():
    model = adapted_model()
    term = ProximalTerm(model, ProximalConfig(beta=0.5, beta_late=0.5), "smart")
    state = term.teacher.state_dict()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert state.keys() == trained.keys()
    before = {name: p.detach().clone() for name, p in trained.items()}
    move(model, seed=4)
    term.after_update(1, 10)
    batch = task_batch("c")
    found = term.teacher.logits(batch)
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_((before[name] + parameter) / 2)
        torch.testing.assert_close(found, model(batch))


@pytest.mark.usefixtures("registries")
def test_rho_and_combinations_look_at_the_adapter_alone():
    model = adapted_model()
    objective = Objective.from_config(model, RunConfig(smart="smart"))
    terms = objective(task_batch("c"), seed=1, measure=True, measure_rho=True)
    named = terms.named("c")
    assert named["smart/c/rho"] > 0
    shared = [p for p in model.encoder.parameters() if p.requires_grad]
    supervised = torch.autograd.grad(terms.values["loss"], shared, retain_graph=True)
    smooth = torch.autograd.grad(terms.values["smoothness"], shared)
    weight = resolve_config(RunConfig(smart="smart")).smoothness.weight
    rho = weight * torch.nn.utils.get_total_norm(smooth) / torch.nn.utils.get_total_norm(supervised)
    torch.testing.assert_close(named["smart/c/rho"], rho)
    collected = collect_gradients(model.encoder, sum_gradients, compared=False)
    assert collected is not None
    assert [id(p) for p in collected.shared] == [id(p) for p in shared]


def test_gradient_checkpointing_changes_no_gradient():
    found = []
    for checkpointing in (False, True):
        model = adapted_model()
        if checkpointing:
            model.encoder.enable_gradient_checkpointing()
        model.train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        model(task_batch("c")).square().sum().backward()
        found.append([p.grad for p in model.encoder.parameters() if p.requires_grad])
    assert all(g.any() for g in found[0])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": ["query", "qurey"]}, r"targets: 'qurey' is no linear layer of this BertModel\. "
         r"Did you mean 'query'\? Choices: all-linear, dense, key, query, value\. A longer name, such"),
        ({"targets": "attention.output.dnse"}, r"Did you mean 'attention\.output\.dense'\? Choices: all-"),
        ({"targets": "LayerNorm"}, r"'LayerNorm' is no linear layer"),
        ({"targets": "word_embeddings"}, r"'word_embeddings' is no linear layer"),
        ({"targets": []}, r"targets is empty"),
        ({"r": 0}, r"r 0, .*r must be at least 1"),
        ({"dropout": 1.0}, r"dropout 1\.0; "),
        ({"alpha": 0}, r"alpha 0, "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        adapted(tiny_encoder(), lora(**options))


def test_targets_are_ends_of_names():
    model = tiny_encoder().model
    assert len(linear_layers(model, "all-linear")) == 12
    assert len(linear_layers(model, "query,value")) == 4
    assert len(linear_layers(model, ["attention.output.dense"])) == 2
    assert linear_layers(model, "layer.1.output.dense") == ["encoder.layer.1.output.dense"]


def test_settings_are_checked_before_anything_is_loaded():
    def resolved(**model: Any) -> RunConfig:
        return resolve_config(RunConfig(model=ModelConfig(**model)))

    with pytest.raises(
        UserError, match=r"model\.adapter: unknown adapter 'lore'.*Did you mean 'lora'"
    ):
        resolved(adapter="lore")
    with pytest.raises(
        UserError, match=r"lora has no option 'rank'.*Choices: alpha, dropout, r, targ"
    ):
        resolved(adapter="lora", adapter_options={"rank": 4})
    with pytest.raises(UserError, match=r"adapter_options: r: "):
        resolved(adapter="lora", adapter_options={"r": "many"})
    options = resolved(adapter="lora", adapter_options={"alpha": 8, "targets": ["key"]}).model
    assert options.adapter_options == {"alpha": 8.0, "targets": ["key"]}
    line, *_ = settings_without_effect(resolved(adapter_options={"r": 4}))
    assert line == "model.adapter_options {'r': 4} has no effect: it needs model.adapter"


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(
        UserError, match=r"model\.adapter: lora needs the package peft.*pip install "
    ):
        adapted(tiny_encoder(), lora())


@pytest.mark.usefixtures("registries")
def test_another_method_of_peft_is_a_kind_of_its_own(tmp_path):
    """IA3 multiplies instead of adding; merging and saving know nothing of the method."""
    from peft import IA3Config, PromptTuningConfig

    @ADAPTERS.register("ia3")
    def ia3(model, *, targets: str = "key,value"):
        names = linear_layers(model, targets)
        return IA3Config(target_modules=names, feedforward_modules=[])

    own = adapted(tiny_encoder(), ModelConfig(adapter="ia3"))
    assert torch.equal(hidden(own), hidden(tiny_encoder()))
    move(own)
    own.save_pretrained(tmp_path)
    assert isinstance(own, AdaptedEncoder)
    assert sum(p.requires_grad for p in own.parameters()) == 4
    torch.testing.assert_close(hidden(load_encoder(str(tmp_path))), hidden(own), rtol=0, atol=1e-5)

    @ADAPTERS.register("prompt")
    def prompt(model):
        return PromptTuningConfig(num_virtual_tokens=2)

    with pytest.raises(UserError, match=r"model\.adapter: prompt does not fit this encoder: "):
        adapted(tiny_encoder(), ModelConfig(adapter="prompt"))
