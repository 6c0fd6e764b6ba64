"""Where it computes, as accelerate sees it."""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs

from data_utils.registry import UserError
from mt_dnn.config import SystemConfig


def device_name(accelerator: Accelerator) -> str:
    """Such as ``cpu, 2 threads`` or ``2 x NVIDIA H200``."""
    device = accelerator.device
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{device.type}, {torch.get_num_threads()} threads"
    world = accelerator.num_processes
    return name if world == 1 else f"{world} x {name}"


def build_accelerator(config: SystemConfig) -> Accelerator:
    """The device, its precision and, under torchrun, its process group.

    Raises:
        UserError: the device or the precision is not to be had here.
    """
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    device = config.device
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[device]:
        here = ", ".join(name for name, there in available.items() if there)
        raise UserError(f"system.device: {device} is not available here. Choices: auto, {here}.")
    if config.precision == "fp16" and device != "cuda":
        raise UserError(f"system.precision: fp16 needs CUDA, not {device}. Choices: fp32, bf16.")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if config.deterministic:
        # cuBLAS reads this when it starts; without it deterministic matrix products are refused.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="no" if config.precision == "fp32" else config.precision,
        # A step trains one task, so the other tasks' heads have no gradient.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
