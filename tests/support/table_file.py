"""A table of two rows and two columns, and results for some of its runs."""

from __future__ import annotations

from typing import Any

from mt_dnn.config.run_format import NUMERICS
from mt_dnn.tables.definition import Table
from mt_dnn.tables.plan import plan

FILE: dict[str, Any] = {
    "title": "A & B",
    "base": {"data": {"data_dir": "d"}, "optim.lr": 1e-4},
    "sizes": {"train.epochs": 2},
    "seeds": [1, 2, 3],
    "rows": {"first": None, "with_r_s": {"smart": "smart"}},
    "columns": {"rte.ACC": {"use": ["rte"]}, "mrpc.F1": {"use": ["mrpc", "rte"]}},
    "paper": {"source": "table 3, best of 3", "scores": {"first": {"rte.ACC": 60.0}}},
}
SCORES = {"first": [50.0, 52.0, 57.0], "with_r_s": [53.0, 56.0, 58.0]}


def results(table: Table, scores: dict[str, list[float]] = SCORES) -> dict[str, dict[str, Any]]:
    """Results of all runs of rte, none of the others."""
    found = {}
    for run in plan(table):
        values = scores.get(run.row, [])
        index = table.seeds.index(run.seed)
        if run.use == ("rte",) and index < len(values):
            found[run.hash] = {
                "hash": run.hash,
                "numerics": NUMERICS,
                "scores": {"rte": {"ACC": values[index], "CMAT": [[1]]}},
                "wall_seconds": 60.0,
                "device": "cpu",
                "commit": "abc",
                "packages": {"torch": "2"},
                "data": {"rte_dev": {"sha256": "x"}},
            }
    return found
