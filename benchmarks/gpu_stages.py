"""The stages of :mod:`benchmarks.gpu`: ``python -m benchmarks.gpu_stages STAGE --out DIR ...``.

A stage is a list of named cases. A case that has figures in results.json is not run again, unless they
are ``unfinished``; one that fails leaves its error there, and the next one runs.
"""

from __future__ import annotations

import argparse
import random
import time
import traceback
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertModel

from benchmarks import gpu
from benchmarks.common import machine
from benchmarks.gpu_bench import Bench
from benchmarks.gpu_cases import CASES
from mt_dnn.encoders.pretrained import load_tokenizer, resolve_encoder

TASKS = """\
pairs:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [a, b]
  metric_meta: [ACC]
"""
ROWS = 4000
LOG_MEAN, LOG_SPREAD = 3.97, 0.55
"""Of the number of words in a pair: RTE's training rows have these."""


def write_rows(folder: Path) -> None:
    """Pairs of random words, as long as RTE's."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["the", "time", "people", "of", "water", "new", "world", "in", "city", "market", "was"]
    rng, lengths = random.Random(0), np.random.default_rng(0)
    numbers = lengths.lognormal(LOG_MEAN, LOG_SPREAD, ROWS).clip(8, 400).astype(int)
    rows = [
        f"{i}\t{'ab'[i % 2]}\t{' '.join(rng.choices(words, k=n * 4 // 5))}\t"
        f"{' '.join(rng.choices(words, k=1 + n // 5))}\n"
        for i, n in enumerate(numbers)
    ]
    (folder / "tasks.yml").write_text(TASKS, encoding="utf-8")
    (folder / "pairs_train.tsv").write_text("".join(rows), encoding="utf-8")
    (folder / "pairs_dev.tsv").write_text("".join(rows[:64]), encoding="utf-8")


def write_base_encoder(folder: Path, encoder: str, *, small: bool) -> str:
    """BERT-base with random weights: for speed and memory they are as good as trained ones."""
    if not folder.exists():
        config = BertConfig(num_hidden_layers=2 if small else 12)
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
        load_tokenizer(encoder).save_pretrained(folder)
    return str(folder)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_stages")
    parser.add_argument("stage", choices=list(CASES))
    for name in ("out", "scratch", "seconds", "device", "encoder", "data_dir"):
        parser.add_argument(f"--{name}", required=name != "data_dir")
    options = parser.parse_args()
    deadline = time.monotonic() + float(options.seconds)
    out, scratch = Path(options.out), Path(options.scratch)
    if not (scratch / "rows" / "pairs_train.tsv").exists():
        write_rows(scratch / "rows")
    small = options.device == "cpu"
    base = write_base_encoder(scratch / "bert-base", options.encoder, small=small)
    bench = Bench(
        device=options.device,
        scratch=scratch,
        encoders={"minilm": str(resolve_encoder(options.encoder)), "bert-base": base},
        data_dir=Path(options.data_dir) if options.data_dir else None,
        out=out,
        deadline=deadline,
    )
    cases = CASES[options.stage](bench)
    for name, case in cases.items():
        results = gpu.load(out)
        results.setdefault("machine", machine())
        done = results["stages"].setdefault(options.stage, {"cases": {}})["cases"]
        if name in done and not done[name].get("unfinished"):
            continue
        if time.monotonic() > deadline - 5:
            return
        started = time.monotonic()
        try:
            figures = case()
        except Exception as error:
            traceback.print_exc()
            figures = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        if options.device == "cuda":
            torch.cuda.empty_cache()
        torch._dynamo.reset()
        print(f"{name}: {figures}, {time.monotonic() - started:.1f} s", flush=True)
        done[name] = figures
        gpu.save(out, results)
        if figures.get("unfinished"):
            return
    results = gpu.load(out)
    results["stages"].setdefault(options.stage, {"cases": {}})["complete"] = True
    gpu.save(out, results)


if __name__ == "__main__":
    main()
