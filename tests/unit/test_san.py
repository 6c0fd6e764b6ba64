"""The stochastic answer network against its formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data_utils.collator import Batch
from mt_dnn.divergences import symmetric_kl
from mt_dnn.heads.san import SANHead, sentence_masks
from mt_dnn.randomness import dropout_off, seeded_rng
from tests.support.batches import make_batch

N, T, H, C = 3, 7, 6, 3
LENGTHS, FIRST = [7, 5, 4], [3, 2, 1]  # tokens of each pair, and of its first sentence


PAIRS = make_batch(LENGTHS, first=FIRST)


@pytest.fixture
def hidden() -> Tensor:
    return torch.randn(N, T, H, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def make_head(n_out: int = C, **options) -> SANHead:
    """In eval mode, float64, with weights that make the steps differ."""
    torch.manual_seed(1)
    head = SANHead(H, n_out, **options).double().eval()
    for parameter in head.parameters():
        nn.init.normal_(parameter, std=0.5)
    return head


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z - z.max()) / np.exp(z - z.max()).sum()


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def by_hand(head: SANHead, premise: Tensor, hypothesis: Tensor, steps: int) -> np.ndarray:
    """One example: memories (m, H) and (n, H) -> W_3 [...] + b of each step, (K, n_out)."""
    p = {name: value.detach().numpy() for name, value in head.named_parameters()}
    memory, other = premise.numpy(), hypothesis.numpy()

    def attend(state: np.ndarray) -> np.ndarray:
        return softmax(state @ p["query.weight"].T @ memory.T) @ memory

    def gru(state: np.ndarray, x: np.ndarray) -> np.ndarray:
        from_x = np.split(p["update.weight_ih"] @ x + p["update.bias_ih"], 3)
        from_s = np.split(p["update.weight_hh"] @ state + p["update.bias_hh"], 3)
        reset, keep = sigmoid(from_x[0] + from_s[0]), sigmoid(from_x[1] + from_s[1])
        return (1 - keep) * np.tanh(from_x[2] + reset * from_s[2]) + keep * state

    state = softmax(other @ p["summary.weight"][0]) @ other  # s^0
    x = attend(state)  # x^0
    outputs = []
    for k in range(steps):
        if k > 0:
            x = attend(state)
            state = gru(state, x)
        features = np.concatenate([state, x, np.abs(state - x), state * x])
        outputs.append(p["output.weight"] @ features + p["output.bias"])
    return np.stack(outputs)


def log_mean(outputs: np.ndarray) -> np.ndarray:
    """(K, C) -> log of the mean of the K distributions, (C,)."""
    return np.log(np.mean([softmax(z) for z in outputs], axis=0))


def assert_equal(actual: Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_formulas_by_hand(hidden, steps):
    head = make_head(steps=steps)
    logits = head(hidden, PAIRS)
    assert logits.shape == (N, C)
    for row, (cut, length) in enumerate(zip(FIRST, LENGTHS, strict=True)):
        outputs = by_hand(head, hidden[row, :cut], hidden[row, cut:length], steps)
        assert_equal(logits[row], log_mean(outputs))


@pytest.mark.parametrize("steps", [1, 3])
def test_one_output_is_the_mean_of_the_numbers(hidden, steps):
    head = make_head(1, steps=steps)
    numbers = head(hidden, PAIRS)
    assert numbers.shape == (N, 1)
    for row, (cut, length) in enumerate(zip(FIRST, LENGTHS, strict=True)):
        outputs = by_hand(head, hidden[row, :cut], hidden[row, cut:length], steps)
        assert_equal(numbers[row], outputs.mean(0))


def test_the_steps_differ(hidden):
    p = make_head().step_logits(hidden, PAIRS).softmax(-1)  # (N, K, C)
    assert (p[:, 1:] - p[:, :-1]).abs().amax(-1).min() > 1e-3


def test_the_softmax_of_the_logits_is_the_mean_distribution(hidden):
    head = make_head()
    mean = head.step_logits(hidden, PAIRS).softmax(-1).mean(1)
    logits = head(hidden, PAIRS)
    torch.testing.assert_close(logits.softmax(-1), mean)
    torch.testing.assert_close(logits, logits.log_softmax(-1))  # already normalized
    labels = torch.tensor([0, 2, 1])
    torch.testing.assert_close(F.cross_entropy(logits, labels), F.nll_loss(mean.log(), labels))


def test_an_improbable_class_keeps_its_logarithm(hidden):
    head = make_head()
    nn.init.zeros_(head.output.weight)
    head.output.bias.data = torch.tensor([0.0, -2000.0, 2000.0], dtype=torch.float64)
    logits = head(hidden, PAIRS)
    assert logits.tolist() == [[-2000.0, -4000.0, 0.0]] * N
    (gradient,) = torch.autograd.grad(logits.sum(), head.output.bias)
    assert gradient.isfinite().all()


def test_a_memory_has_no_order(hidden):
    head = make_head()
    logits = head(hidden, PAIRS)
    turned = hidden.clone()
    turned[0, :7] = hidden[0, [2, 0, 1, 6, 4, 3, 5]]  # 3 tokens and 4
    torch.testing.assert_close(head(turned, PAIRS), logits)
    across = hidden.clone()
    across[0, [0, 6]] = hidden[0, [6, 0]]  # a token of each sentence for one of the other's
    assert not torch.allclose(head(across, PAIRS)[0], logits[0])


@pytest.mark.parametrize("filling", [0.0, 1e6, float("inf"), float("nan")])
def test_padding_changes_nothing(hidden, filling):
    head = make_head()
    wide = make_batch(LENGTHS, first=FIRST, width=T + 2)
    padded = torch.full((N, T + 2, H), filling, dtype=torch.float64)
    for row, length in enumerate(LENGTHS):
        padded[row, :length] = hidden[row, :length]
    padded.requires_grad_()
    logits = head(padded, wide)
    torch.testing.assert_close(logits, head(hidden, PAIRS))
    gradients = torch.autograd.grad(logits.square().sum(), [padded, *head.parameters()])
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert not gradients[0][~wide.attention_mask.bool()].any()


def test_special_tokens_go_with_their_token_type():
    types = torch.tensor([[0, 0, 0, 1, 1, 2, 1]])  # 2: XLNet's [CLS]; the last is padding
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 0]])
    first, second = sentence_masks(Batch("t", ["0"], mask, mask, token_type_ids=types))
    assert first.int().tolist() == [[1, 1, 1, 0, 0, 1, 0]]
    assert second.int().tolist() == [[0, 0, 0, 1, 1, 0, 0]]


@pytest.mark.parametrize("first", [None, LENGTHS, [0] * N], ids=["no types", "all 0", "all 1"])
def test_a_single_sentence_is_compared_with_itself(hidden, first):
    head = make_head(steps=3)
    logits = head(hidden, make_batch(LENGTHS, first=first))
    for row, length in enumerate(LENGTHS):
        sentence = hidden[row, :length]
        assert_equal(logits[row], log_mean(by_hand(head, sentence, sentence, 3)))


def test_a_single_sentence_among_pairs(hidden):
    head = make_head()
    mixed = head(hidden, make_batch(LENGTHS, first=[FIRST[0], LENGTHS[1], FIRST[2]]))
    torch.testing.assert_close(mixed[[0, 2]], head(hidden, PAIRS)[[0, 2]])
    torch.testing.assert_close(mixed[1], head(hidden, make_batch(LENGTHS))[1])


@pytest.mark.parametrize("n_out", [1, C])
def test_every_parameter_has_a_finite_gradient(hidden, n_out):
    head = make_head(n_out).train()
    hidden.requires_grad_()
    batch = make_batch([7, 5, 0], first=[3, 5, 0])  # a pair, a single sentence, no token at all
    logits = head(hidden, batch)
    assert logits.isfinite().all()
    for gradient in torch.autograd.grad(logits.square().sum(), [hidden, *head.parameters()]):
        assert gradient.isfinite().all()
        assert gradient.any()


def test_prediction_dropout_drops_whole_steps(hidden):
    """Each example's output is the mean over a subset of its steps, which is never empty."""
    many = make_batch([T] * 200, first=[3] * 200)
    head = make_head(steps=3, dropout=0.0, prediction_dropout=0.6).train()
    rows = hidden[:1].expand(200, T, H)
    steps = head.step_logits(rows, many)[0].softmax(-1)  # (K, C)
    subsets = [[k for k in range(3) if bits >> k & 1] for bits in range(1, 8)]
    means = torch.stack([steps[subset].mean(0) for subset in subsets])  # (7, C)
    with seeded_rng(0, "cpu"):
        p = head(rows, many).exp()  # (200, C)
    distance = (p[:, None] - means).abs().amax(-1)  # (200, 7)
    assert distance.amin(1).max() < 1e-12
    assert set(distance.argmin(1).tolist()) == set(range(7))  # each example has a draw of its own


@pytest.mark.parametrize("rate", [0.3, 0.9, 1.0])
def test_prediction_dropout_is_unbiased(rate):
    """Every step has the expected weight 1/K, also where the last one left was saved."""
    draws, steps = 40_000, 4
    head = SANHead(H, C, steps=steps, prediction_dropout=rate).train()
    with seeded_rng(0, "cpu"):
        weights = head.step_weights(torch.zeros(draws, steps, C))
    torch.testing.assert_close(weights.sum(1), torch.ones(draws))
    assert (weights.mean(0) - 1 / steps).abs().max() < 0.01
    dropped = (weights == 0).float().mean().item()
    saved = rate**steps / steps  # where all would go, one step stays
    assert dropped == pytest.approx(rate - saved, abs=0.01)


def test_prediction_dropout_of_one_output(hidden):
    head = make_head(1, steps=3, dropout=0.0, prediction_dropout=1.0).train()
    numbers = head.step_logits(hidden, PAIRS).squeeze(-1)  # (N, K)
    assert ((head(hidden, PAIRS) - numbers).abs().amin(1) < 1e-12).all()


def test_dropout_off_is_evaluation(hidden):
    head = make_head(dropout=0.5, prediction_dropout=0.5)
    state = torch.get_rng_state()
    logits = head(hidden, PAIRS)
    assert torch.equal(head(hidden, PAIRS), logits)
    assert torch.equal(torch.get_rng_state(), state)  # evaluation draws nothing
    head.train()
    assert not torch.allclose(head(hidden, PAIRS), logits)
    with dropout_off(head):
        assert torch.equal(head(hidden, PAIRS), logits)
    without = make_head(dropout=0.0, prediction_dropout=0.0).train()
    torch.testing.assert_close(without(hidden, PAIRS), logits)


@pytest.mark.parametrize("rates", [(0.5, 0.0), (0.0, 0.5), (0.5, 0.5)])
def test_replay_repeats_every_dropout(hidden, rates):
    head = make_head(dropout=rates[0], prediction_dropout=rates[1]).train()

    def run(seed: int) -> Tensor:
        with seeded_rng(seed, "cpu"):
            return head(hidden, PAIRS)

    assert torch.equal(run(3), run(3))
    assert not torch.allclose(run(3), run(4))
    assert not symmetric_kl(run(3), run(3)).any()  # shared dropout: no perturbation, no term


def test_memory_dropout_is_variational(hidden):
    """A feature is dropped from all tokens of an example, and from no other example with it."""
    head = make_head(dropout=0.5).train()
    seen = []
    head.memory_dropout.register_forward_hook(lambda *call: seen.append(call[-1].mT))
    full = make_batch([T] * N, first=[3] * N)
    head(hidden, full)
    dropped = seen[0] == 0  # (N, T, H)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert dropped.any()
    assert not torch.equal(dropped[0], dropped[1])
    torch.testing.assert_close(seen[0][~dropped], 2 * hidden[~dropped])


def test_dropout_before_the_output_is_each_steps_own(hidden):
    head = make_head(dropout=0.5).train()
    head.memory_dropout.p = 0.0
    seen = []
    head.dropout.register_forward_hook(lambda *call: seen.append(call[-1]))
    head(hidden, PAIRS)
    dropped = seen[0] == 0  # (N, K, 4 H)
    assert dropped.shape == (N, 5, 4 * H)
    assert not torch.equal(dropped[:, 0], dropped[:, 1])


def test_probabilities_are_averaged_in_float32_under_autocast(hidden):
    head = make_head().float()
    single = head(hidden.float(), PAIRS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = head(hidden.float(), PAIRS)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(N))  # to float32's precision
    torch.testing.assert_close(logits, single, atol=0.1, rtol=0.1)


def test_initialised_as_the_other_heads():
    torch.manual_seed(0)
    head = SANHead(200, 100)
    for layer in (head.query, head.output):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert head.summary.weight.std().item() == pytest.approx(0.02, rel=0.2)  # 200 numbers
    assert not head.output.bias.any()


@pytest.mark.parametrize("options", [{"steps": 0}, {"prediction_dropout": 1.5}])
def test_impossible_settings(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        SANHead(H, C, **options)


def test_it_learns_eight_pairs():
    """From the weights and with the rates that a run starts with, hidden states held fixed."""
    torch.manual_seed(0)
    hidden = torch.randn(8, T, 32)
    batch = make_batch([T, 5, 6, T, 4, T, 5, 6], first=[3, 2, 3, 4, 2, 5, 1, 3])
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    head = SANHead(32, C)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(head(hidden, batch), labels).backward()
        optimizer.step()
    logits = head.eval()(hidden, batch)
    assert torch.equal(logits.argmax(-1), labels)
    assert F.cross_entropy(logits, labels) < 0.1
