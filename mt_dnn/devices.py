"""Choose the compute device and set up accelerate."""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs

from data_utils.errors import UserError
from mt_dnn.config.run import SystemConfig

OLDEST_TORCH = (2, 6)

UNSUPPORTED = {
    "ACCELERATE_USE_FSDP": "sharded parameters (FSDP)",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "tensor, context or sequence parallelism",
    "ACCELERATE_USE_SAGEMAKER": "SageMaker's own distribution",
}
"""Environment variables that make accelerate distribute a model in a way that runs do not support."""
OFF = ("", "0", "false", "no", "off", "n", "f")


def device_name(accelerator: Accelerator) -> str:
    """Describe the devices: ``cpu, 2 threads``, ``2 x NVIDIA H200``."""
    device = accelerator.device
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        threads = torch.get_num_threads()
        name = f"{device.type}, {threads} thread{'s' if threads > 1 else ''}"
    world = accelerator.num_processes
    return name if world == 1 else f"{world} x {name}"


def choose_device(name: str, *, setting: str = "device") -> str:
    """Return an available device; auto selects CUDA, else MPS, else the CPU.

    Args:
        name: auto, cuda, mps or cpu.
        setting: name of the setting, for the error message.

    Returns:
        cuda, mps or cpu.

    Raises:
        UserError: the device is not available on this machine, or torch is too old.

    Example::

        model.to(choose_device("auto"))
    """
    if tuple(map(int, torch.__version__.split(".")[:2])) < OLDEST_TORCH:
        raise UserError(
            f"torch {torch.__version__} is too old. Install torch "
            f"{'.'.join(map(str, OLDEST_TORCH))} or newer."
        )
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    here = [device for device, there in available.items() if there]
    if name == "auto":
        return here[0]
    if name not in here:
        raise UserError(
            f"{setting}: {name} is not available here. Choices: auto, {', '.join(here)}."
        )
    return name


def build_accelerator(config: SystemConfig) -> Accelerator:
    """Build accelerate's object for the device, the precision and the processes.

    It joins the process group when started by torchrun. ``threads`` and ``deterministic`` change
    global settings of torch.

    Args:
        config: settings of the system.

    Raises:
        UserError: the device or the precision is not available on this machine, or an environment
            variable of accelerate asks for something else than the configuration.
    """
    _check_environment(config)
    device = choose_device(config.device, setting="system.device")
    if config.precision == "fp16" and device != "cuda":
        raise UserError(f"system.precision: fp16 needs CUDA, not {device}. Choices: fp32, bf16.")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if config.deterministic:
        # cuBLAS reads this variable when it starts. Without it, torch raises an error for matrix
        # products in deterministic mode.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="no" if config.precision == "fp32" else config.precision,
        # A step trains one task, so the heads of the other tasks get no gradient.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def _check_environment(config: SystemConfig) -> None:
    """Refuse variables of accelerate that would change a run without a trace in its configuration.

    ``accelerate launch`` and accelerate's own configuration file set them.

    Raises:
        UserError: a variable is set to a value that the configuration does not have.
    """
    for name, what in UNSUPPORTED.items():
        if os.environ.get(name, "").lower() not in OFF:
            raise UserError(
                f"environment variable {name}: {what} is not supported. Unset it; torchrun copies the "
                f"model to every process (docs/devices.md)."
            )
    precision = "no" if config.precision == "fp32" else config.precision
    settings = {
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": ("batch.accumulate", ("1",)),
        "ACCELERATE_DYNAMO_BACKEND": ("system.compile", OFF),
        "ACCELERATE_MIXED_PRECISION": ("system.precision", (precision,)),
        "ACCELERATE_TORCH_DEVICE": ("system.device", ()),
        "ACCELERATE_USE_CPU": (
            "system.device",
            OFF if config.device != "cpu" else (*OFF, "true", "1"),
        ),
    }
    for name, (setting, same) in settings.items():
        value = os.environ.get(name)
        if value is not None and value.lower() not in same:
            raise UserError(f"environment variable {name}={value}: unset it, and use {setting}.")
