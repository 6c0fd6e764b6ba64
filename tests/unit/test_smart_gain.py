"""The gain benchmark on an untrained tiny model: its arithmetic, and that it tells chance from skill."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from benchmarks.gain_probe import Draw, Probe, signs_like
from benchmarks.smart_gain import (
    VARIANTS,
    Line,
    Settings,
    configurations,
    measure,
    report_run,
    show,
    shuffled_score,
    write,
)
from data_utils.errors import UserError
from mt_dnn.config.presets import PRESETS, resolve
from mt_dnn.config.run import ModelConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.inference.evaluate import Evaluation
from mt_dnn.model import MTDNN
from mt_dnn.objective.norm_ball import norms
from mt_dnn.objective.smoothness import smoothness_loss
from mt_dnn.task_types import Prediction
from mt_dnn.training.trainer import Trainer
from tests.support.batches import make_batch
from tests.support.encoders import VOCAB, tiny_encoder
from tests.support.tasks import make_task

SMALL = Settings(runs="", rows=6, batch_size=4, draws=2)
LENGTHS = torch.tensor([7, 5, 2, 6])


@pytest.fixture
@torch.no_grad()
def model():
    task = make_task(name="pair", n_class=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MTDNN(tiny_encoder(), {"pair": task}, ModelConfig())
        model.heads["pair"].get_parameter(
            "output.weight"
        ).normal_()  # as wide awake as a trained head
    return model.eval().requires_grad_(False)


@pytest.fixture
def batch():
    return make_batch([7, 5, 2, 6], ids=(3, VOCAB), first=[7] * 4, task="pair", uids=list("abcd"))


def settings_of(name) -> SmoothnessConfig:
    return dict(configurations())[name]


def test_every_preset_that_perturbs_is_there():
    perturbs = {
        name
        for name, (c, _) in PRESETS.items()
        if c.weight and (c.noise, c.ascent) != ("zero", "none")
    }
    assert {preset for preset, _ in VARIANTS.values()} == perturbs


def test_the_baseline_has_the_same_l2_norm_on_every_token(model, batch):
    delta = Probe(model, batch).climb(settings_of("freelb"), 0)
    signs = signs_like(delta, 1)
    sizes = [norms(part, norm="l2", scope="token") for part in (delta, signs)]
    torch.testing.assert_close(*sizes)
    assert (sizes[1].squeeze(-1) > 0).equal(batch.attention_mask.bool())


def test_both_precisions_start_from_the_same_noise(model, batch):
    start = replace(settings_of("smart"), steps=0)
    probes = Probe(model, batch), Probe(copy.deepcopy(model).double(), batch)
    assert probes[1].clean.dtype == torch.float64
    assert torch.equal(*(probe.climb(start, 3) for probe in probes))


def test_freelb_is_measured_at_its_last_iterate(model, batch):
    config, _ = resolve("freelb", SmoothnessConfig(), ProximalConfig())
    probe, mask = Probe(model, batch), batch.attention_mask
    delta = probe.climb(settings_of("freelb"), 0)
    _, stats = smoothness_loss(
        probe.logits,
        probe.embeds,
        probe.clean,
        lambda p, q: probe.kind.divergence(p, q, batch),
        mask,
        config,
        torch.Generator().manual_seed(0),
    )
    ratio = delta.norm() / probe.embeds[mask.bool()].norm()
    torch.testing.assert_close(ratio, stats.delta_ratio)


def test_zero_perturbation_is_the_encoders_own_pass(model, batch):
    assert Probe(model, batch).identity() == 0


def test_the_identity_sees_an_embedding_applied_twice(model, batch, monkeypatch):
    own = model.encoder.encode

    def twice(embeds, mask, types=None):
        return own(model.encoder.model.embeddings(inputs_embeds=embeds), mask, types)

    monkeypatch.setattr(model.encoder, "encode", twice)
    assert Probe(model, batch).identity() > 1e-3


def test_dropout_in_the_ascent_is_the_presets_and_ends_with_it(model, batch):
    """Shared masks leave nothing at delta = 0, new ones do; afterwards the model is as it was."""
    probe = Probe(model, batch)
    for name in ("smart", "mtdnn_release"):
        config = settings_of(name)
        without, dropped = (probe.climb(config, 0, dropout=on) for on in (False, True))
        assert not torch.equal(without, dropped), name
    assert not any(module.training for module in model.modules())
    assert torch.equal(probe.logits(probe.embeds), probe.clean)


def test_lines_of_an_untrained_model(model, batch):
    """At a small radius the ascent climbs even here; noise alone does not, and has no ascent."""
    lines, identity = measure(model, [batch], SMALL)
    assert identity == 0
    assert [line.name for line in lines] == list(VARIANTS)
    by_name = {line.name: line for line in lines}
    smart, noise = by_name["smart"], by_name["r3f"]
    assert smart.gain
    assert noise.gain
    assert smart.gain_float64
    assert smart.gain > 10
    assert smart.inf_norm <= 1e-5 * (1 + 1e-6)
    assert smart.gain == pytest.approx(smart.adversarial / smart.random)
    assert smart.gain_float32 == pytest.approx(smart.gain, rel=0.1)
    # Rounding in the ascent can only cost; by how much depends on the machine's kernels.
    assert smart.gain_float64 > 0.9 * smart.gain
    assert 0.05 < noise.gain < 20
    assert noise.over_noise is None
    assert by_name["mtdnn_release"].inf_norm == pytest.approx(1)


def test_a_model_flatter_than_float32_climbs_in_float64_alone(model, batch):
    """Its logits round to the same numbers: no gradient in float32, and nothing to read there."""
    output = model.heads["pair"].output
    output.weight.mul_(1e-4)
    output.bias.fill_(1.0)
    smart = measure(model, [batch], SMALL)[0][0]
    assert smart.gain_float64
    assert smart.gain
    assert smart.gain_float64 > 10 > 2 * smart.gain
    assert smart.gain_float32 is None


def test_means_are_taken_before_ratios():
    draws = [
        Draw(1, 1, adversarial=a, random=r, start=s, adversarial_float32=a, random_float32=0.0,
             climbed_float64=a, climbed_with_dropout=a, random_with_dropout=2 * r)
        for a, r, s in ((4.0, 1.0, 2.0), (8.0, 3.0, 4.0))
    ]  # fmt: skip
    line = Line.of("x", settings_of("smart"), draws)
    assert (line.gain, line.over_noise, line.gain_with_dropout) == (3, 2, 1.5)
    assert line.gains == [4, pytest.approx(8 / 3)]
    assert line.gain_float32 is None  # nothing to divide by


@pytest.mark.parametrize(("right", "skilled"), [(100, True), (55, False)])
def test_chance_is_told_from_skill(right, skilled):
    task = make_task(name="t", n_class=2)
    values = [int(i % 2 == 0) ^ int(i >= right) for i in range(100)]
    predictions = [Prediction(str(i), v, [], int(i % 2 == 0)) for i, v in enumerate(values)]
    shuffled = shuffled_score(Evaluation(task, predictions, {}, {}), 0)
    assert 50 < shuffled < 75
    assert (right > shuffled) == skilled


def test_a_run_from_its_folder_to_the_files(tiny_config, tmp_path, capsys):
    config = tiny_config(data={"use": ("score",)}, train={"max_steps": 1, "save_every": 0})
    Trainer(config).fit()
    reports, manifests, device = report_run(str(tmp_path / "runs" / config.name), SMALL)
    assert [(r.dataset, r.metric, r.rows) for r in reports] == [("score", "Pearson", 6)]
    assert reports[0].identity == 0
    hopeless = replace(reports[0], above_chance=False)
    show(hopeless, Console(width=260))
    assert "NOT ABOVE CHANCE" in capsys.readouterr().out
    write(tmp_path / "out" / "gain", reports, SMALL, device, manifests)
    found = json.loads((tmp_path / "out" / "gain.json").read_text())
    assert found["reports"][0]["lines"][0]["config"]["epsilon"] == 1e-5
    assert found["environment"]["data"]["score_dev"]["sha256"]
    assert "| smart " in (tmp_path / "out" / "gain.md").read_text()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"config\.yml"):
        report_run(str(tmp_path), SMALL)
