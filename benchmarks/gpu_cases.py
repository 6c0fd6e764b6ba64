"""The cases of each stage of :mod:`benchmarks.gpu`: name -> a function that returns its figures."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks import gpu_probes, smart_precision
from benchmarks.bare import BareLoop
from benchmarks.common import in_turn
from benchmarks.gpu_bench import SMART, TF32, Bench
from benchmarks.gpu_products import matrix_flops, peaks
from benchmarks.gpu_study import multitask_cases, study_cases
from benchmarks.memory import longest_batches
from benchmarks.throughput import seconds, train
from data_utils.sampler import TaskBatch
from mt_dnn.training.trainer import Trainer

Case = Callable[[], dict[str, Any]]


def throughput_cases(bench: Bench) -> dict[str, Case]:
    cases: dict[str, Case] = {"peaks": partial(peaks, bench)}
    for precision in bench.precisions:
        for encoder in bench.encoders:
            for size in bench.batch_sizes:
                name = f"{encoder}, batch {size}, {precision}"
                cases[name] = partial(throughput, bench, encoder, size, precision)
                if precision == "bf16" and size == bench.batch_sizes[0]:
                    cases[f"{name}, lengths as they are"] = partial(
                        throughput, bench, encoder, size, precision, pad_multiple=1
                    )
    return cases


def compile_cases(bench: Bench) -> dict[str, Case]:
    """Few lengths, so that few shapes are compiled or captured."""
    modes: dict[str, dict[str, Any]] = {
        "compiled": {"dynamic": True},
        "compiled, CUDA graphs": {"dynamic": True, "mode": "reduce-overhead"},
    }
    return {
        f"{encoder}, batch {size}, bf16, {mode}": partial(
            throughput, bench, encoder, size, "bf16", pad_multiple=64, compiled=options
        )
        for mode, options in modes.items()
        for encoder in bench.encoders
        for size in bench.batch_sizes[:1]
    }


def throughput(
    bench: Bench,
    encoder: str,
    size: int,
    precision: str,
    *,
    pad_multiple: int = 8,
    compiled: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The Trainer and the bare loop in turn on the same batches, examples/s."""
    settings = bench.settings(encoder, size)
    warm_up = settings.steps if bench.small else 40  # a new shape costs more than an update
    total = warm_up + (settings.rounds + 1) * settings.steps
    config = bench.config(encoder, size, precision, total)
    batch = dataclasses.replace(config.batch, pad_multiple=pad_multiple)
    trainer = Trainer(dataclasses.replace(config, batch=batch))
    if compiled is not None:
        trainer.model.encoder.compile(**compiled)
    bare = BareLoop(
        settings.encoder, n_class=2, device=trainer.device, total=total, compiled=compiled
    )
    sampler, dataset = trainer.loader.sampler, trainer.loader.dataset
    order = list(islice(chain.from_iterable(map(sampler.batches, count())), total))
    batches = [dataset[TaskBatch("pairs", chunk.indices)] for chunk in order]
    updates = trainer.updates()
    started = time.perf_counter()
    train(trainer, islice(updates, warm_up))
    bare.train(batches[:warm_up], precision=config.system.precision)
    warm = time.perf_counter() - started
    rounds = [batches[i : i + settings.steps] for i in range(warm_up, total, settings.steps)]
    took = in_turn(
        {
            "ours": lambda _: seconds(
                trainer.device, lambda: train(trainer, islice(updates, settings.steps))
            ),
            "bare": lambda i: seconds(
                trainer.device, lambda: bare.train(rounds[i], precision=config.system.precision)
            ),
        },
        settings.rounds,
    )
    floor = sum(matrix_flops(batch, bench.encoders[encoder]) for batch in chain(*rounds[1:])) / 1e12
    examples = sum(len(batch) for batch in chain(*rounds[1:]))
    return {
        "examples/s": examples / sum(took["ours"]),
        "bare": examples / sum(took["bare"]),
        "ours / bare": median(b / a for a, b in zip(*took.values(), strict=True)),
        "TFLOP/s": floor / sum(took["ours"]),
        "warm-up s": warm,
    }


def smart_cases(bench: Bench) -> dict[str, Case]:
    cases: dict[str, Case] = {}
    if bench.data_dir is not None:
        cases["R_s in bf16 against fp32, trained on MNLI"] = partial(
            smart_precision_case, bench, bench.data_dir
        )
    size = bench.batch_sizes[-2:][0]
    for precision in bench.precisions:
        for encoder in bench.encoders:
            name = f"{encoder}, batch {size}, {precision}"
            cases[name] = partial(smart_cost, bench, encoder, size, precision)
    return cases


def smart_precision_case(bench: Bench, data_dir: Path) -> dict[str, Any]:
    """What bfloat16 does to R_s at radius 5e-4, without dropout."""
    updates, batches = (4, 2) if bench.small else (180, 12)
    found = smart_precision.measure(
        bench.encoders["minilm"],
        data_dir,
        bench.device,
        bench.scratch,
        updates=updates,
        batches=batches,
        dropout=False,
    )
    return dict(found[5e-4])


def smart_cost(bench: Bench, encoder: str, size: int, precision: str) -> dict[str, Any]:
    """Time of an update with SMART over a plain one, on the same batches."""
    settings = bench.settings(encoder, size)
    total = (settings.rounds + 1) * settings.steps
    programs: dict[str, Callable[[int], float]] = {}
    for name, changes in SMART.items():
        if "autocast" in name and precision != "bf16":
            continue
        config = bench.config(encoder, size, precision, total)
        trainer = Trainer(dataclasses.replace(config, **changes))
        programs[name] = partial(round_of, trainer, trainer.updates(), settings.steps)
    took = in_turn(programs, settings.rounds)
    plain = took.pop("plain")
    ratios = {
        name: median(a / b for a, b in zip(values, plain, strict=True))
        for name, values in took.items()
    }
    return {"plain ms": 1000 * median(plain) / settings.steps, **ratios}


def round_of(trainer: Trainer, updates: Any, steps: int, _: int) -> float:
    return seconds(trainer.device, lambda: train(trainer, islice(updates, steps)))


def memory_cases(bench: Bench) -> dict[str, Case]:
    return {
        f"{encoder}, batch 32, {precision}, {name}": partial(
            memory, bench, encoder, precision, changes
        )
        for encoder in bench.encoders
        for precision in bench.precisions
        if precision != TF32
        for name, changes in {**SMART, "bare loop": None}.items()
        if "autocast" not in name
    }


def memory(
    bench: Bench, encoder: str, precision: str, changes: dict[str, Any] | None
) -> dict[str, Any]:
    """Peak of the allocator over updates on the longest batches, MB."""
    settings = bench.settings(encoder, 4 if bench.small else 32)
    config = bench.config(encoder, settings.batch_size, precision, 4)
    trainer = None if changes is None else Trainer(dataclasses.replace(config, **changes))
    batches = longest_batches(settings, bench.scratch / encoder)
    if bench.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    if trainer is None:
        device = torch.device(bench.device)
        bare = BareLoop(settings.encoder, n_class=2, device=device, total=4)
        bare.train(batches, precision=precision)
    else:
        for batch in batches:
            trainer.update([batch])
    peak = torch.cuda.max_memory_allocated() / 1e6 if bench.device == "cuda" else float("nan")
    return {"peak MB": peak, "longest": batches[0].input_ids.shape[1]}


def profile_cases(bench: Bench) -> dict[str, Case]:
    def case(encoder: str, size: int, precision: str, program: str) -> dict[str, Any]:
        settings = bench.settings(encoder, size)
        config = bench.config(encoder, size, precision, 40)
        trainer = Trainer(dataclasses.replace(config, **SMART.get(program, {})))
        if program != "bare":
            updates = trainer.updates()
            return gpu_probes.profile(lambda n: train(trainer, islice(updates, n)), bench.device)
        bare = BareLoop(settings.encoder, n_class=2, device=trainer.device, total=40)
        dataset, plan = trainer.loader.dataset, iter(trainer.loader.sampler.batches(0))
        return gpu_probes.profile(
            lambda n: bare.train((dataset[b] for b in islice(plan, n)), precision=precision),
            bench.device,
        )

    size = bench.batch_sizes[0]
    return {
        f"{encoder}, batch {size}, bf16, {program}": partial(case, encoder, size, "bf16", program)
        for encoder in bench.encoders
        for program in ("plain", "bare", "R_s and D_Breg")
    }


def concurrency_cases(bench: Bench) -> dict[str, Case]:
    def case(processes: int) -> dict[str, Any]:
        folder = bench.scratch / "minilm"
        steps = 4 if bench.small else 300
        config = bench.config("minilm", 4 if bench.small else 16, "bf16", steps)
        Trainer(config)  # prepares the store that the runs share
        command = [sys.executable, "train.py", "--data.tasks", config.data.tasks]
        command += ["--data.data_dir", config.data.data_dir]
        command += ["--data.store_dir", str(config.data.store_dir)]
        command += ["--data.max_seq_len", str(config.data.max_seq_len)]
        command += ["--model.encoder", config.model.encoder, "--smart", "smart"]
        command += ["--system.device", bench.device, "--system.precision", "bf16"]
        command += ["--smoothness.precision", "autocast", "--batch.size", str(config.batch.size)]
        command += ["--train.epochs", "9", "--train.max_steps", str(steps), "--overwrite", "true"]
        command += ["--system.threads", "1", "--system.workers", "0", "--train.save_every", "0"]
        command += ["--train.eval_every", str(steps), "--output_dir", str(folder / "runs")]
        started = time.perf_counter()
        running = [
            subprocess.Popen([*command, "--name", f"at-once-{processes}-{i}"], stdout=sys.stdout)
            for i in range(processes)
        ]
        codes = [process.wait() for process in running]
        took = time.perf_counter() - started
        return {"seconds": took, "runs / minute": 60 * processes / took, "failed": sum(codes)}

    return {f"{n} at once": partial(case, n) for n in ((1, 2) if bench.small else (1, 4, 8, 12))}


def cuda_test_cases(bench: Bench) -> dict[str, Case]:
    def case() -> dict[str, Any]:
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short"]
        command += ["-p", "no:cacheprovider", "tests/integration/test_cuda.py"]
        result = subprocess.run(command, capture_output=True, text=True)
        print(result.stdout, result.stderr)
        last = result.stdout.strip().splitlines()[-1:]
        return {"exit": result.returncode, "result": " ".join(last), "details": result.stdout}

    return {"tests/integration/test_cuda.py": case}


CASES: dict[str, Callable[[Bench], dict[str, Case]]] = {
    "cuda_tests": cuda_test_cases,
    "throughput": throughput_cases,
    "compile": compile_cases,
    "smart_cost": smart_cases,
    "memory": memory_cases,
    "profile": profile_cases,
    "concurrency": concurrency_cases,
    "study": study_cases,
    "multitask": multitask_cases,
}
