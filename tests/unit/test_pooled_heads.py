"""From hidden states to logits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from data_utils.collator import Batch
from mt_dnn.config.run import ModelConfig
from mt_dnn.heads.pooled import (
    AttentionPooling,
    CandidateHead,
    PooledHead,
    TokenHead,
    pool,
    pool_pair,
    sequence_head,
)
from mt_dnn.heads.san import SANHead
from tests.support.batches import make_batch
from tests.support.encoders import tiny_encoder
from tests.support.tasks import make_task

N, T, H = 3, 5, 4
LENGTHS = [5, 2, 3]
MASK = (torch.arange(T) < torch.tensor(LENGTHS)[:, None]).long()  # (N, T)


@pytest.fixture
def hidden() -> Tensor:
    return torch.randn(N, T, H, generator=torch.Generator().manual_seed(0))


def test_pooling_by_hand(hidden):
    assert torch.equal(pool(hidden, MASK, "cls"), hidden[:, 0])
    for row, length in enumerate(LENGTHS):
        real = hidden[row, :length]
        assert torch.allclose(pool(hidden, MASK, "mean")[row], real.mean(0))
        assert torch.equal(pool(hidden, MASK, "max")[row], real.max(0).values)


@pytest.mark.parametrize("how", ["cls", "mean", "max"])
@pytest.mark.parametrize("filling", [0.0, 1e6, -1e6, float("nan")])
def test_padding_changes_nothing(hidden, how, filling):
    padded = torch.full((N, T + 3, H), filling)
    mask = torch.zeros(N, T + 3, dtype=torch.long)
    for row, length in enumerate(LENGTHS):
        padded[row, :length] = hidden[row, :length]
        mask[row, :length] = 1
    assert torch.equal(pool(padded, mask, how), pool(hidden, MASK, how))


def test_a_maximum_below_zero_is_not_hidden_by_padding():
    hidden = torch.tensor([[[-2.0], [-3.0], [9.0]]])
    assert pool(hidden, torch.tensor([[1, 1, 0]]), "max").tolist() == [[-2.0]]


def test_unknown_pooling(hidden):
    with pytest.raises(ValueError, match="'sum'; choices: cls, mean, max"):
        pool(hidden, MASK, "sum")


def test_the_head_by_hand(hidden):
    head = PooledHead(H, 2, pooling="mean", activation="tanh", dropout=0.5).eval()
    dense = head.pooler[0]
    nn.init.normal_(dense.bias)
    nn.init.normal_(head.output.bias)
    pooled = pool(hidden, MASK, "mean")
    expected = (pooled @ dense.weight.T + dense.bias).tanh() @ head.output.weight.T
    assert torch.allclose(head(hidden, make_batch(LENGTHS)), expected + head.output.bias)


def test_without_activation_there_is_no_dense_layer(hidden):
    head = PooledHead(H, 2, activation="none").eval()
    assert [name for name, _ in head.named_parameters()] == ["output.weight", "output.bias"]
    assert torch.equal(head(hidden, make_batch(LENGTHS)), head.output(hidden[:, 0]))


def test_initialised_as_bert():
    torch.manual_seed(0)
    head = PooledHead(200, 100)
    for layer in (head.pooler[0], head.output):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.any()


def test_dropout_is_before_the_output(hidden):
    head = PooledHead(H, 2, activation="none", dropout=1.0)
    nn.init.normal_(head.output.bias)
    assert torch.equal(head.train()(hidden, make_batch(LENGTHS)), head.output.bias.expand(N, 2))
    assert not torch.equal(head.eval()(hidden, make_batch(LENGTHS)), head.output.bias.expand(N, 2))


def test_the_tasks_settings_win_over_the_runs():
    config = ModelConfig(pooling="mean", activation="gelu", dropout=0.2)
    encoder = tiny_encoder()
    head = PooledHead.for_task(encoder, 2, task=make_task(), config=config)
    assert (head.pooling, head.dropout.p) == ("mean", 0.2)
    assert isinstance(head.pooler[1], nn.GELU)
    own = make_task(pooling="max", activation="none", dropout=0.0)  # 0 is a setting, not none
    head = PooledHead.for_task(encoder, 2, task=own, config=config)
    assert (head.pooling, head.dropout.p, len(head.pooler)) == ("max", 0.0, 0)
    assert TokenHead.for_task(encoder, 1, task=own, config=config).dropout.p == 0.0


def test_a_task_asks_for_the_stochastic_answer_network():
    encoder, config = tiny_encoder(), ModelConfig(dropout=0.3)
    san = make_task(enable_san=True, data_format="PremiseAndOneHypothesis")
    head = sequence_head(encoder, 2, task=san, config=config)
    assert isinstance(head, SANHead)
    assert head.dropout.p == 0.3
    assert isinstance(sequence_head(encoder, 2, task=make_task(), config=config), PooledHead)


def test_attention_pooling_starts_as_the_mean_and_ignores_padding(hidden):
    attention = AttentionPooling(H)
    assert torch.allclose(attention(hidden, MASK), pool(hidden, MASK, "mean"), atol=1e-6)
    nn.init.normal_(attention.score.weight)
    changed = hidden.masked_fill(MASK.unsqueeze(-1) == 0, 7.0)
    pooled = attention(hidden, MASK)
    assert torch.allclose(attention(changed, MASK), pooled)
    weight = attention.score.weight.squeeze()
    for vector, tokens, mask in zip(pooled, hidden, MASK, strict=True):
        own = tokens[mask.bool()]
        assert torch.allclose(vector, (own @ weight).softmax(0) @ own, atol=1e-6)


def test_the_head_learns_what_to_attend_to(hidden):
    head = PooledHead(H, 2, pooling="attention", dropout=0.0)
    head(hidden, make_batch(LENGTHS)).sum().backward()
    assert head.attention.score.weight.grad.abs().sum() > 0


WEIGHT, BIAS = torch.full((H, H), 0.5), torch.full((H,), 0.25)


def test_start_from_pooler():
    head = PooledHead(H, 2)
    output = head.output.weight.clone()
    head.start_from_pooler(WEIGHT, BIAS)
    dense = head.pooler[0]
    assert torch.equal(dense.weight, WEIGHT)
    assert torch.equal(dense.bias, BIAS)
    assert torch.equal(head.output.weight, output)
    assert dense.weight.requires_grad
    assert dense.weight.data_ptr() != WEIGHT.data_ptr()  # each head has its own


@pytest.mark.parametrize(
    "keys", [{"pooling": "mean"}, {"activation": "gelu"}, {"activation": "none"}]
)
def test_another_map_does_not_start_from_the_pooler(keys):
    head = PooledHead(H, 2, **keys)
    before = [p.clone() for p in head.parameters()]
    head.start_from_pooler(WEIGHT, BIAS)
    assert all(map(torch.equal, head.parameters(), before))


def test_a_pooler_of_another_size_is_left():
    head = PooledHead(H, 2)
    before = head.pooler[0].weight.clone()
    head.start_from_pooler(torch.zeros(H + 1, H + 1), torch.zeros(H + 1))
    assert torch.equal(head.pooler[0].weight, before)


def test_candidates_are_laid_in_a_row_per_example():
    torch.manual_seed(0)
    head = CandidateHead(PooledHead(H, 1, dropout=0.0))
    hidden = torch.randn(6, T, H)
    batch = make_batch([T] * 6, candidates=[2, 1, 3])
    logits = head(hidden, batch)  # (B, K)
    scores = head.scorer(hidden, batch).squeeze(-1)  # (N,)
    assert logits.shape == (3, 3)
    assert torch.equal(logits[0], torch.stack([scores[0], scores[1], torch.tensor(0.0)]))
    assert torch.equal(logits[1], torch.stack([scores[2], *torch.zeros(2)]))
    assert torch.equal(logits[2], scores[3:])


def test_every_candidate_gets_its_own_gradient():
    head = CandidateHead(PooledHead(H, 1, dropout=0.0))
    hidden = torch.randn(3, T, H, requires_grad=True)
    batch = make_batch([T] * 3, candidates=[1, 2])
    head(hidden, batch)[1, 1].backward()  # the third sequence
    assert hidden.grad[2].any()
    assert not hidden.grad[:2].any()


def pair_batch(lengths: list[int], lengths_of_first: list[int]) -> Batch:
    batch = make_batch(lengths)
    positions = torch.arange(max(lengths))
    batch.token_type_ids = (positions >= torch.tensor(lengths_of_first)[:, None]).long()
    return batch


def test_pair_pooling_by_hand(hidden):
    first = [2, 1, 2]
    pooled = pool_pair(hidden, pair_batch(LENGTHS, first))  # (N, 4 H)
    for row, (cut, length) in enumerate(zip(first, LENGTHS, strict=True)):
        u, v = hidden[row, :cut].mean(0), hidden[row, cut:length].mean(0)
        assert torch.allclose(pooled[row], torch.cat([u, v, (u - v).abs(), u * v]))


def test_pair_pooling_of_equal_sentences_has_no_difference(hidden):
    twice = torch.cat([hidden[:, :2], hidden[:, :2]], dim=1)  # (N, 4, H)
    pooled = pool_pair(twice, pair_batch([4] * N, [2] * N))
    assert torch.equal(pooled[:, 2 * H : 3 * H], torch.zeros(N, H))


def test_pair_pooling_without_a_second_sentence(hidden):
    pooled = pool_pair(hidden, make_batch(LENGTHS))
    u = pool(hidden, MASK, "mean")
    assert torch.equal(
        pooled, torch.cat([u, torch.zeros_like(u), u.abs(), torch.zeros_like(u)], -1)
    )


@pytest.mark.parametrize("activation", ["tanh", "none"])
def test_a_pair_head_fits_its_features(hidden, activation):
    head = PooledHead(H, 3, pooling="pair", activation=activation)
    assert head(hidden, make_batch(LENGTHS)).shape == (N, 3)


@pytest.mark.parametrize("name", ["pooled", "san", "candidates", "tokens"])
def test_outputs_are_float32_under_autocast(name):
    """500 predictions near 3.5 stay distinct; in bfloat16 they would be multiples of 1/64."""
    torch.manual_seed(0)
    count = 500
    head: nn.Module = {
        "pooled": lambda: PooledHead(32, 1),
        "san": lambda: SANHead(32, 1),
        "candidates": lambda: CandidateHead(PooledHead(32, 1)),
        "tokens": lambda: TokenHead(32, 1),
    }[name]()
    for layer in head.modules():
        if isinstance(layer, nn.Linear) and layer.out_features == 1 and layer.bias is not None:
            nn.init.constant_(layer.bias, 3.5)
    batch = make_batch([2] * count, candidates=[1] * count if name == "candidates" else None)
    hidden = torch.randn(count, 2, 32).bfloat16()  # the encoder's output under autocast
    with torch.autocast("cpu", torch.bfloat16):
        outputs = head.eval()(hidden, batch)
    assert outputs.dtype == torch.float32
    assert len(outputs.unique()) > 0.98 * outputs.numel()
