"""Matrix products: what a device makes in a second, and how much of them an update needs."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any

import torch
from transformers import AutoConfig

from benchmarks.gpu_bench import TF32, Bench
from benchmarks.throughput import seconds
from data_utils.collator import Batch


def peaks(bench: Bench) -> dict[str, Any]:
    """Matrix products of the device, TFLOP/s, by precision."""
    n = 512 if bench.small else 8192
    found = {}
    for precision in bench.precisions:
        torch.set_float32_matmul_precision("high" if precision == TF32 else "highest")
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        a, b = (torch.randn(n, n, device=bench.device, dtype=dtype) for _ in range(2))
        product = partial(multiply, a, b)
        times = [seconds(a.device, product) for _ in range(8)]
        found[f"{precision} TFLOP/s"] = 2 * n**3 / median(times[3:]) / 1e12
    return found


def multiply(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.mm(a, b)


def matrix_flops(batch: Batch, encoder: str) -> float:
    """Of an update's matrix products in the layers: forward, and backward to both operands.

    2 N for each weight and token, and 4 T H for attention's two products, times 3.
    """
    config = AutoConfig.from_pretrained(encoder)
    n, t = batch.input_ids.shape
    h, inner = config.hidden_size, config.intermediate_size
    weights = 4 * h * h + 2 * h * inner
    return 3.0 * config.num_hidden_layers * n * t * (2 * weights + 4 * t * h)
