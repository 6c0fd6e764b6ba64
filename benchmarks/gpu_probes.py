"""Where the time of an update goes on a device."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity

WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy")
"""Calls that wait for the device. cudaMemcpyAsync is not among them: it does not wait."""
UPDATES = 5


def profile(train: Callable[[int], None], device: str) -> dict[str, Any]:
    """Measure one of the first updates: the mean of UPDATES, after as many to warm up.

    Args:
        train: ``train(n)`` makes n updates.

    Returns:
        Time of an update without the profiler, and of its kernels, in ms; number of kernels, and of
        calls that wait for the device; under ``details`` the kernels and host operators that take
        the most time, in ms.
    """
    cuda = device == "cuda"

    def synchronize() -> None:
        if cuda:
            torch.cuda.synchronize()

    train(UPDATES)
    synchronize()
    started = time.perf_counter()
    train(UPDATES)
    submitted = time.perf_counter() - started
    synchronize()
    wall = time.perf_counter() - started
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with torch.profiler.profile(activities=activities) as profiler:
        train(UPDATES)
        synchronize()
    kernels = [e for e in profiler.events() if e.device_type == DeviceType.CUDA]
    waits = Counter(e.name for e in profiler.events() if e.name in WAITS)
    waits["cudaDeviceSynchronize"] -= cuda  # the one above
    table = profiler.key_averages()
    on_device = sorted(table, key=lambda e: -e.self_device_time_total)[:14]
    on_host = sorted(table, key=lambda e: -e.self_cpu_time_total)[:14]
    return {
        "update ms": 1000 * wall / UPDATES,
        "submitted ms": 1000 * submitted / UPDATES,
        "busy ms": busy([(e.time_range.start, e.time_range.end) for e in kernels]) / 1000 / UPDATES,
        "kernels": len(kernels) / UPDATES,
        "waits": sum(waits.values()) / UPDATES,
        "details": {
            "waits": dict(waits),
            "device": {e.key[:80]: e.self_device_time_total / 1000 / UPDATES for e in on_device},
            "host": {e.key[:80]: e.self_cpu_time_total / 1000 / UPDATES for e in on_host},
        },
    }


def busy(intervals: list[tuple[float, float]]) -> float:
    """Length of the union of the intervals."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(intervals):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total
