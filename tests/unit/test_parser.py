"""The configuration: flags over YAML over defaults, strict, and written so that it reads back."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from data_utils.errors import UserError
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.parser import parse_config, run_parser
from mt_dnn.config.presets import PRESETS
from mt_dnn.config.run import BatchConfig, OptimConfig, RunConfig, SystemConfig
from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.runs.run_dir import config_yaml


def fields_of(config: object, prefix: str = "") -> list[str]:
    names = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            names += fields_of(value, f"{prefix}{field.name}.")
        else:
            names.append(prefix + field.name)
    return names


def test_without_arguments_it_is_the_defaults():
    assert parse_config([]) == RunConfig()


def test_a_flag_for_every_field_each_documented():
    actions = {action.dest: action for action in run_parser("train.py", "")._actions}
    for name in fields_of(RunConfig()):
        assert len(actions[name].help.split()) >= 2, name


def test_flags_go_over_yaml_and_yaml_over_defaults(tmp_path):
    path = tmp_path / "run.yml"
    path.write_text("optim: {lr: 1.0e-3, betas: [0.8, 0.9]}\ndata: {use: [b, a]}\nsmart: smart\n")
    config = parse_config(["--config", str(path), "--optim.lr", "2e-3", "--train.patience", "2"])
    assert config.optim == OptimConfig(lr=2e-3, betas=(0.8, 0.9))
    assert config.data.use == ("b", "a")
    assert (config.smart, config.train.patience) == ("smart", 2)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_resolved_configuration_reads_back(tmp_path, preset):
    given = RunConfig(
        smart=preset,
        seed=3,
        batch=BatchConfig(accumulate=2),
        optim=OptimConfig(lr=1e-5, freeze=("encoder.*", "x")),
    )
    resolved = resolve_config(given)
    unset = [key for key, value in dataclasses.asdict(resolved.proximal).items() if value is None]
    assert unset == ["horizon"]
    path = tmp_path / "config.yml"
    path.write_text(config_yaml(resolved))
    assert parse_config(["--config", str(path)]) == resolved
    assert resolve_config(resolved) == resolved


@pytest.mark.parametrize(
    ("yaml_text", "named"),
    [
        ("optim: {learning_rate: 1}", "learning_rate"),
        ("optimizer: {lr: 1}", "optimizer"),
        ("optim: {lr: fast}", "fast"),
        ("smart: smrat", "smrat"),
        ("mixing: {name: proportinal}", "proportinal"),
        ("system: {device: gpu}", "gpu"),
        ("train: {epochs: 1.5}", "1.5"),
    ],
)
def test_a_fault_in_the_file_ends_with_code_2_and_names_it(tmp_path, capsys, yaml_text, named):
    path = tmp_path / "run.yml"
    path.write_text(yaml_text)
    with pytest.raises(SystemExit) as stopped:
        parse_config(["--config", str(path)])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert named in message
    assert "Traceback" not in message
    assert len(message.splitlines()) < 25


@pytest.mark.parametrize(
    "arguments",
    [
        ["--optim.learning_rate", "1"],
        ["--optim.l", "1"],
        ["--train.epochs", "many"],
        ["--smoothness.norm", "l3"],
        ["--config", "missing.yml"],
        ["stray"],
    ],
)
def test_a_faulty_argument_ends_with_code_2(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        parse_config(arguments)
    assert stopped.value.code == 2
    assert "error" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("train", {"epochs": 0}, "train.epochs: 0"),
        ("train", {"log_every": 0}, "train.log_every: 0"),
        ("train", {"max_steps": 0}, "train.max_steps: 0"),
        ("train", {"eval_every": 0}, "train.eval_every: 0"),
        ("train", {"save_every": -1}, "train.save_every: -1"),
        ("train", {"patience": 0}, "train.patience: 0"),
        ("train", {"keep": 0}, "train.keep: 0"),
        ("batch", {"accumulate": 0}, "batch.accumulate: 0"),
        ("data", {"max_seq_len": 1}, "data.max_seq_len: 1"),
        ("data", {"train_limit": 0}, "data.train_limit: 0"),
        ("optim", {"warmup": 1.5}, "optim.warmup: 1.5"),
        ("optim", {"clip_norm": -1.0}, "optim.clip_norm: -1"),
        ("optim", {"weight_decay": -0.1}, "optim.weight_decay: -0.1"),
        ("system", {"threads": 0}, "system.threads: 0"),
        ("system", {"workers": -1}, "system.workers: -1"),
        ("smoothness", {"epsilon": -1.0}, "smoothness.epsilon"),
    ],
)
def test_a_number_out_of_range_is_named(section, values, message):
    config = RunConfig()
    changed = dataclasses.replace(getattr(config, section), **values)
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        resolve_config(dataclasses.replace(config, **{section: changed}))


def test_fp16_would_round_the_perturbation_away():
    with pytest.raises(UserError, match=r"smoothness\.precision"):
        resolve_config(
            RunConfig(
                smart="smart",
                smoothness=SmoothnessConfig(precision="autocast"),
                system=SystemConfig(precision="fp16"),
            )
        )


def test_the_written_configuration_is_plain_yaml():
    loaded = yaml.safe_load(config_yaml(resolve_config(RunConfig(smart="smart"))))
    assert loaded["optim"]["betas"] == [0.9, 0.999]
    assert loaded["smoothness"]["epsilon"] == 1e-5
