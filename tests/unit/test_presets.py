"""Presets: complete, validated, in step with the names elsewhere."""

import dataclasses
import re
import subprocess
import sys

import pytest

from data_utils.errors import UserError
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.parser import parse_config
from mt_dnn.config.presets import PRESETS, resolve
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.registries import DIVERGENCES
from mt_dnn.runs.run_dir import config_yaml
from mt_dnn.tables.settings import config_hash


def test_the_help_lists_every_preset(capsys):
    with pytest.raises(SystemExit):
        parse_config(["--help"])
    (line,) = re.findall(r"--smart SMART\s+(.*?)\(type", capsys.readouterr().out, re.DOTALL)
    assert set(PRESETS) <= set(re.findall(r"\w+", line))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_divergence_of_a_preset_exists(preset):
    divergence = PRESETS[preset][0].divergence
    assert divergence is None or divergence in DIVERGENCES


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_resolves_to_numbers(preset):
    smoothness, proximal = resolve(preset, SmoothnessConfig(), ProximalConfig())
    unset = {f.name for f in dataclasses.fields(smoothness) if getattr(smoothness, f.name) is None}
    assert unset <= {"divergence", "balance"}
    assert {f.name for f in dataclasses.fields(proximal) if getattr(proximal, f.name) is None} == {
        "horizon"
    }
    assert resolve(preset, smoothness, proximal) == (smoothness, proximal)


def test_smart_is_the_paper():
    smoothness, proximal = resolve("smart", SmoothnessConfig(), ProximalConfig())
    assert (smoothness.epsilon, smoothness.sigma, smoothness.step_size) == (1e-5, 1e-5, 1e-3)
    assert (smoothness.ascent, smoothness.norm, smoothness.steps) == ("projected", "linf", 1)
    assert dataclasses.astuple(proximal)[:6] == (1.0, "mbpp", 0.99, 0.999, 0.1, 1)


@pytest.mark.parametrize("preset", ["off", "smart", "pdr_js", "pdr_hellinger"])
@pytest.mark.parametrize("epsilon", [1e-5, 1e-4, 5e-4, 1e-3])
def test_step_size_and_sigma_follow_epsilon(preset, epsilon):
    found, _ = resolve(preset, SmoothnessConfig(epsilon=epsilon), ProximalConfig())
    assert (found.step_size, found.sigma) == (100 * epsilon, epsilon)
    assert resolve(preset, found, ProximalConfig())[0] == found
    given = SmoothnessConfig(epsilon=epsilon, step_size=0.5)
    found, _ = resolve(preset, given, ProximalConfig())
    assert (found.step_size, found.sigma) == (0.5, epsilon)
    given = SmoothnessConfig(epsilon=epsilon, sigma=0.5)
    found, _ = resolve(preset, given, ProximalConfig())
    assert (found.step_size, found.sigma) == (100 * epsilon, 0.5)


@pytest.mark.parametrize(
    ("preset", "numbers"),
    [
        ("mtdnn_release", (1e-5, 1e-5)),
        ("r3f", (1e-3, 1e-5)),
        ("freelb", (0.1, 4e-4)),
        ("rdrop", (1e-3, 0.0)),
    ],
)
def test_presets_with_another_ratio_keep_their_numbers(preset, numbers):
    for epsilon in (None, 0.05):
        found, _ = resolve(preset, SmoothnessConfig(epsilon=epsilon), ProximalConfig())
        assert (found.step_size, found.sigma) == numbers


def test_epsilon_by_flag_moves_both_and_the_saved_file_keeps_them(tmp_path):
    config = resolve_config(parse_config(["--smart", "smart", "--smoothness.epsilon", "1e-3"]))
    assert (config.smoothness.step_size, config.smoothness.sigma) == (0.1, 1e-3)
    saved = tmp_path / "config.yml"
    saved.write_text(config_yaml(config))
    assert resolve_config(parse_config(["--config", str(saved)])) == config


@pytest.mark.parametrize(("before", "now"), [("true", "clean"), ("false", "none")])
@pytest.mark.parametrize("form", ["--config={}", "--config {}"])
def test_a_saved_file_with_detach_clean_loads(before, now, form, tmp_path):
    saved = tmp_path / "config.yml"
    saved.write_text(
        "name: mine\nsmart: mtdnn_release\nsmoothness:\n"
        f"  epsilon: 2.0\n  precision: float32\n  detach_clean: {before}\noptim:\n  lr: 0.1\n"
    )
    config = parse_config([*form.format(saved).split(), "--seed", "7"])
    assert (config.name, config.seed, config.optim.lr) == ("mine", 7, 0.1)
    found = resolve_config(config).smoothness
    assert (found.detach, found.space, found.epsilon) == (now, "words", 2.0)
    assert config_hash(saved) is not None
    own = tmp_path / "run.yml"
    own.write_text(f"smoothness: {{detach_clean: {before}}}\n")
    with pytest.raises(SystemExit):
        parse_config(["--config", str(own)])


def test_a_run_files_old_setting_names_the_new_one(tmp_path, capsys):
    own = tmp_path / "run.yml"
    own.write_text("smoothness:\n  detach_clean: true\n")
    with pytest.raises(SystemExit):
        parse_config(["--config", str(own)])
    error = capsys.readouterr().err
    assert f"{own}:2: unknown setting smoothness.detach_clean. Did you mean" in error
    assert "'smoothness.detach'" in error


def test_off_differs_from_smart_in_the_weights_alone():
    off = resolve("off", SmoothnessConfig(), ProximalConfig())
    smart = resolve("smart", SmoothnessConfig(), ProximalConfig())
    assert off[0].weight == off[1].weight == 0
    assert tuple(dataclasses.replace(c, weight=1.0) for c in off) == smart


def test_a_written_value_wins_even_if_zero():
    smoothness, proximal = resolve(
        "smart", SmoothnessConfig(steps=0, weight=5.0), ProximalConfig(beta=0.0)
    )
    assert (smoothness.steps, smoothness.weight, proximal.beta) == (0, 5.0, 0.0)
    assert smoothness.epsilon == 1e-5


def test_unknown_preset_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'smart'"):
        resolve("smrat", SmoothnessConfig(), ProximalConfig())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("smoothness.weight", -1.0),
        ("smoothness.epsilon", 0.0),
        ("smoothness.epsilon", -1e-5),
        ("smoothness.epsilon", float("nan")),
        ("smoothness.epsilon", float("inf")),
        ("smoothness.step_size", -1e-3),
        ("smoothness.steps", -1),
        ("smoothness.sigma", -1e-5),
        ("smoothness.sigma", 0.0),
        ("smoothness.noise", "zero"),
        ("smoothness.norm", "l3"),
        ("smoothness.ascent", "project"),
        ("smoothness.balance", 0.0),
        ("smoothness.balance", float("nan")),
        ("smoothness.balance_every", 0),
        ("proximal.horizon", 0.0),
        ("proximal.horizon", 1.5),
        ("proximal.dropout", "none"),
        ("proximal.precision", "bf16"),
        ("smoothness.space", "word"),
        ("smoothness.detach", "both"),
        ("smoothness.precision", "fp32"),
        ("proximal.weight", -1.0),
        ("proximal.weight", float("nan")),
        ("proximal.beta", 1.0),
        ("proximal.beta", -0.1),
        ("proximal.beta_late", 1.0),
        ("proximal.beta_switch", 1.5),
        ("proximal.steps", 0),
        ("proximal.teacher", "mbp"),
    ],
)
def test_bad_values_name_the_field(field, value):
    group, name = field.split(".")
    smoothness, proximal = SmoothnessConfig(), ProximalConfig()
    if group == "smoothness":
        smoothness = SmoothnessConfig(**{name: value})
    else:
        proximal = ProximalConfig(**{name: value})
    with pytest.raises(UserError, match=field.replace(".", r"\.")):
        resolve("smart", smoothness, proximal)


def test_freelb_needs_an_iterate():
    with pytest.raises(UserError, match=r"smoothness\.steps"):
        resolve("freelb", SmoothnessConfig(steps=0), ProximalConfig())


def test_zero_noise_is_fine_where_nothing_climbs():
    written = SmoothnessConfig(noise="zero", ascent="none")
    assert resolve("smart", written, ProximalConfig())[0].noise == "zero"


def test_no_torch_behind_the_settings():
    code = "import mt_dnn.config.smart, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
