"""Settings of accelerate that do not come from the configuration are refused."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from mt_dnn.config.run import SystemConfig
from mt_dnn.devices import build_accelerator


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ACCELERATE_USE_FSDP", "true", r"sharded parameters \(FSDP\) is not supported"),
        ("ACCELERATE_USE_DEEPSPEED", "1", "DeepSpeed is not supported"),
        ("ACCELERATE_USE_MEGATRON_LM", "yes", "Megatron-LM is not supported"),
        ("ACCELERATE_USE_PARALLELISM_CONFIG", "true", "parallelism is not supported"),
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4", "use batch.accumulate"),
        ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR", "use system.compile"),
        ("ACCELERATE_MIXED_PRECISION", "bf16", "use system.precision"),
        ("ACCELERATE_TORCH_DEVICE", "cpu", "use system.device"),
        ("ACCELERATE_USE_CPU", "true", "use system.device"),
    ],
)
def test_a_variable_of_accelerate_is_refused(monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"environment variable {name}.*{message}"):
        build_accelerator(SystemConfig(device="auto"))


def test_variables_that_change_nothing_are_accepted(monkeypatch):
    for name, value in {
        "ACCELERATE_USE_FSDP": "false",
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "1",
        "ACCELERATE_DYNAMO_BACKEND": "NO",
        "ACCELERATE_MIXED_PRECISION": "no",
        "ACCELERATE_USE_CPU": "true",
    }.items():
        monkeypatch.setenv(name, value)
    assert build_accelerator(SystemConfig(device="cpu")).device.type == "cpu"
