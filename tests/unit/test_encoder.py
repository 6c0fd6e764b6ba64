"""The encoder's identity, encode(embed(ids)) = forward(ids), for every architecture."""

from __future__ import annotations

import pytest
import torch
import transformers as hf
from torch import Tensor

from data_utils.errors import UserError
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.load import load_encoder
from tests.support.encoders import ARCHITECTURES, VOCAB, tiny_encoder

WITH_TOKEN_TYPES = {"bert", "electra", "albert", "nezha"}
WITHOUT_SDPA = {"deberta-v2", "mpnet", "nezha"}
every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


def batch(encoder: Encoder, lengths=(9, 6, 1)) -> dict[str, Tensor]:
    """Right-padded ids, the mask, and token types 0 0 .. 1 1 where the architecture has them."""
    generator = torch.Generator().manual_seed(1)
    width = max(lengths)
    ids = torch.randint(5, VOCAB, (len(lengths), width), generator=generator)
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
    ids = ids.masked_fill(mask == 0, encoder.config.pad_token_id)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if encoder.has_token_types:
        inputs["token_type_ids"] = (torch.arange(width) >= 3).long() * mask
    return inputs


def split_forward(encoder: Encoder, inputs: dict[str, Tensor]) -> Tensor:
    rest = {key: value for key, value in inputs.items() if key != "input_ids"}
    return encoder.encode(encoder.embed(inputs["input_ids"]), **rest)


@every_architecture
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("lengths", [(9, 9, 9), (9, 6, 1)], ids=["full", "padded"])
@torch.no_grad()
def test_encode_of_embed_is_the_models_own_forward(architecture, attention, lengths):
    encoder = tiny_encoder(architecture, attention=attention)
    inputs = batch(encoder, lengths)
    hidden = split_forward(encoder, inputs)
    assert hidden.shape == (3, 9, encoder.hidden_size)
    assert torch.isfinite(hidden).all()
    assert torch.equal(hidden, encoder.model(**inputs).last_hidden_state)


@every_architecture
@torch.no_grad()
def test_no_mask_is_a_mask_of_ones(architecture):
    encoder = tiny_encoder(architecture)
    inputs = batch(encoder, (9, 9, 9))
    embeds = encoder.embed(inputs["input_ids"])
    assert torch.equal(
        encoder.encode(embeds, None), encoder.encode(embeds, torch.ones(3, 9).long())
    )


@pytest.mark.parametrize("architecture", [n for n in ARCHITECTURES if n not in WITHOUT_SDPA])
@pytest.mark.parametrize("lengths", [(9, 9, 9), (9, 6, 1)], ids=["full", "padded"])
@torch.no_grad()
def test_the_mask_is_never_read(architecture, lengths, monkeypatch):
    """On a GPU reading it makes the host wait; transformers does, to leave out a mask of ones."""
    encoder = tiny_encoder(architecture)
    inputs = batch(encoder, lengths)

    def read(self: Tensor) -> bool:
        raise AssertionError("a tensor was read")

    monkeypatch.setattr(Tensor, "__bool__", read)
    split_forward(encoder, inputs)


class WholeBlock(Encoder):
    """The known bug: the output of the whole embedding block goes back in as inputs_embeds."""

    def embed(self, input_ids: Tensor) -> Tensor:
        return self.model.embeddings(input_ids)


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "t5"])
@torch.no_grad()
def test_identity_catches_positions_and_norm_applied_twice(architecture):
    encoder = WholeBlock(tiny_encoder(architecture).model).eval()
    inputs = batch(encoder)
    real = inputs["attention_mask"].bool()
    difference = split_forward(encoder, inputs) - encoder.model(**inputs).last_hidden_state
    # NEZHA has no positions to apply twice, only the norm: 0.05, where the others have 0.1 and more.
    assert difference[real].abs().max() > 0.01


@every_architecture
def test_attention_is_sdpa_or_falls_back_to_eager(architecture, capfd):
    encoder = Encoder.from_config(ARCHITECTURES[architecture]())
    assert encoder.attention == ("eager" if architecture in WITHOUT_SDPA else "sdpa")
    assert capfd.readouterr() == ("", "")


@every_architecture
def test_gradients_reach_embeds_and_every_parameter(architecture):
    encoder = tiny_encoder(architecture)
    inputs = batch(encoder, (9, 6, 4))
    embeds = encoder.embed(inputs["input_ids"])
    embeds.retain_grad()
    rest = {key: value for key, value in inputs.items() if key != "input_ids"}
    encoder.encode(embeds, **rest).square().sum().backward()
    real = inputs["attention_mask"].bool()
    assert (embeds.grad[real].abs().sum(dim=-1) > 0).all()
    # DistributedDataParallel and the optimizer must not meet a parameter that is never used.
    assert [name for name, p in encoder.named_parameters() if p.grad is None] == []


@every_architecture
@torch.no_grad()
def test_dropout_is_active_in_train_mode_only(architecture):
    encoder = tiny_encoder(architecture)
    inputs = batch(encoder)
    assert torch.equal(split_forward(encoder, inputs), split_forward(encoder, inputs))
    encoder.train()
    assert not torch.equal(split_forward(encoder, inputs), split_forward(encoder, inputs))


@every_architecture
@torch.no_grad()
def test_token_types_go_only_where_the_architecture_has_them(architecture):
    encoder = tiny_encoder(architecture)
    assert encoder.has_token_types == (architecture in WITH_TOKEN_TYPES)
    inputs = batch(encoder)
    embeds, mask = encoder.embed(inputs["input_ids"]), inputs["attention_mask"]
    same = torch.equal(encoder.encode(embeds, mask), encoder.encode(embeds, mask, mask))
    assert same == (architecture not in WITH_TOKEN_TYPES)


LAYERS = {"albert": 1}  # ALBERT repeats one layer's weights
SOME_DEPTHS = {
    "bert": {"embeddings.LayerNorm.bias": 0, "encoder.layer.1.output.dense.bias": 2},
    "nezha": {
        "embeddings.token_type_embeddings.weight": 0,
        "encoder.layer.1.attention.self.query.weight": 2,
    },
    "roberta": {"embeddings.position_embeddings.weight": 0},
    "deberta-v2": {"encoder.rel_embeddings.weight": 0, "encoder.LayerNorm.weight": 0},
    "electra": {"embeddings_project.weight": 0, "encoder.layer.0.output.dense.bias": 1},
    "albert": {
        "encoder.embedding_hidden_mapping_in.weight": 0,
        "encoder.albert_layer_groups.0.albert_layers.0.ffn.weight": 1,
    },
    "distilbert": {"transformer.layer.1.ffn.lin1.weight": 2},
    "mpnet": {"encoder.relative_attention_bias.weight": 0},
    "xlm-roberta": {"encoder.layer.0.attention.self.query.weight": 1},
    "modernbert": {
        "embeddings.norm.weight": 0,
        "layers.1.mlp_norm.weight": 2,
        "final_norm.weight": 3,
    },
    "t5": {
        "shared.weight": 0,
        "encoder.block.1.layer.0.layer_norm.weight": 2,
        "encoder.final_layer_norm.weight": 3,
    },
}


@every_architecture
def test_layer_of(architecture):
    encoder = tiny_encoder(architecture)
    layers = LAYERS.get(architecture, 2)
    assert encoder.num_layers == layers
    names = dict(encoder.named_parameters())
    for name, depth in SOME_DEPTHS[architecture].items():
        assert f"model.{name}" in names
        assert encoder.layer_of(f"model.{name}") == depth
        assert encoder.layer_of(f"encoder.model.{name}") == depth
    depths = {encoder.layer_of(name) for name in names}
    assert set(range(layers + 1)) <= depths <= set(range(layers + 2))


@every_architecture
@torch.no_grad()
def test_saved_folder_is_read_by_auto_model_and_by_load_encoder(architecture, tmp_path):
    encoder = tiny_encoder(architecture)
    encoder.save_pretrained(tmp_path)
    again = load_encoder(str(tmp_path))
    inputs = batch(encoder)
    hidden = split_forward(encoder, inputs)
    assert torch.equal(split_forward(again, inputs), hidden)
    model = hf.AutoModel.from_pretrained(tmp_path, attn_implementation=encoder.attention).eval()
    model = model.get_encoder() if architecture == "t5" else model
    assert torch.equal(model(**inputs).last_hidden_state, hidden)


def test_encoder_decoder_checkpoint_gives_its_encoder(tmp_path):
    whole = hf.T5Model(ARCHITECTURES["t5"]()).eval()
    whole.save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path))
    assert not any("decoder" in name for name, _ in encoder.named_parameters())
    inputs = batch(encoder)
    expected = whole.get_encoder()(**inputs).last_hidden_state
    assert torch.equal(split_forward(encoder, inputs), expected)


def test_decoder_that_cannot_be_left_out_is_refused():
    with pytest.raises(UserError, match=r"bart has a decoder .* Choices: .*T5"):
        Encoder.from_config(hf.BartConfig(vocab_size=VOCAB))


@every_architecture
def test_gradient_checkpointing_keeps_the_gradients_or_is_refused(architecture):
    encoder = tiny_encoder(architecture).train()
    inputs = batch(encoder, (9, 6, 4))

    def gradients() -> list[Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            loss = split_forward(encoder, inputs).square().sum()
        return list(torch.autograd.grad(loss, list(encoder.parameters())))

    if not encoder.model.supports_gradient_checkpointing:
        with pytest.raises(UserError, match="does not support gradient checkpointing"):
            encoder.enable_gradient_checkpointing()
        return
    plain = gradients()
    encoder.enable_gradient_checkpointing()
    name = "is_activation_checkpointing"  # not in transformers 5.17
    name = name if hasattr(encoder.model, name) else "is_gradient_checkpointing"
    assert getattr(encoder.model, name)
    torch.testing.assert_close(gradients(), plain)
    encoder.requires_grad_(False)
    assert not encoder.embed(inputs["input_ids"]).requires_grad


@torch.no_grad()
def test_compile_changes_neither_names_nor_result():
    encoder = tiny_encoder()
    inputs, names = batch(encoder), list(encoder.state_dict())
    expected = split_forward(encoder, inputs)
    graphs = []

    def backend(graph, _example_inputs):
        graphs.append(graph)
        return graph.forward

    encoder.compile(backend=backend)
    torch.testing.assert_close(split_forward(encoder, inputs), expected)
    assert graphs
    assert list(encoder.state_dict()) == names


def test_from_config_leaves_the_config_alone():
    config = ARCHITECTURES["t5"]()
    before = config.to_dict()
    Encoder.from_config(config)
    assert config.to_dict() == before
