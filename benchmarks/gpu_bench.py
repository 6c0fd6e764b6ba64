"""Encoders, sizes, precisions and variants of SMART that the stages of benchmarks.gpu measure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState

from benchmarks.common import Settings, run_config
from mt_dnn.config.run import RunConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig

SMART: dict[str, dict[str, Any]] = {
    "plain": {},
    "R_s": {"smart": "smart", "proximal": ProximalConfig(weight=0.0)},
    "R_s and D_Breg": {"smart": "smart"},
    "R_s, passes in autocast": {
        "smart": "smart",
        "smoothness": SmoothnessConfig(precision="autocast"),
        "proximal": ProximalConfig(weight=0.0),
    },
    "R_s and D_Breg, passes in autocast": {
        "smart": "smart",
        "smoothness": SmoothnessConfig(precision="autocast"),
    },
}
TF32 = "tf32"
"""fp32 whose matrix products may use TensorFloat-32."""


@dataclass(frozen=True)
class Bench:
    """What every stage gets."""

    device: str
    scratch: Path
    encoders: dict[str, str]
    """Name -> folder."""
    data_dir: Path | None
    out: Path = Path()
    """Folder of the results."""
    deadline: float = math.inf
    """When the stage must end, in seconds of :func:`time.monotonic`."""

    @property
    def small(self) -> bool:
        """A rehearsal."""
        return self.device == "cpu"

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        return (4,) if self.small else (16, 32, 128)

    @property
    def precisions(self) -> tuple[str, ...]:
        return ("fp32", "bf16") if self.small else ("bf16", TF32, "fp32")

    def settings(self, encoder: str, batch_size: int) -> Settings:
        return Settings(
            data_dir=str(self.scratch / "rows"),
            tasks=str(self.scratch / "rows" / "tasks.yml"),
            task="pairs",
            encoder=self.encoders[encoder],
            batch_size=batch_size,
            max_seq_len=64 if self.small else 512,
            device=self.device,
            rounds=1 if self.small else 5,
            steps=2 if self.small else 10,
        )

    def config(self, encoder: str, batch_size: int, precision: str, updates: int) -> RunConfig:
        """A run of so many updates on the rows of :func:`write_rows`, saving nothing."""
        torch.set_float32_matmul_precision("high" if precision == TF32 else "highest")
        AcceleratorState._reset_state(reset_partial_state=True)  # it keeps a process's first one
        name = "fp32" if precision == TF32 else precision
        settings = self.settings(encoder, batch_size)
        return run_config(settings, name, self.scratch / encoder, updates=updates)
