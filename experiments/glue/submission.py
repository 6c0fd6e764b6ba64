"""Convert predictions on the test splits to the zip file that gluebenchmark.com accepts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.task_def import TaskDef
from experiments.submission import find_predictions, label_word, read_predictions, write_zip

TASK_FILE = Path(__file__).parent / "tasks.yml"
# Dataset -> task, official file name, official number of test rows.
FILES = {
    "cola_test": ("cola", "CoLA.tsv", 1063),
    "sst2_test": ("sst2", "SST-2.tsv", 1821),
    "mrpc_test": ("mrpc", "MRPC.tsv", 1725),
    "stsb_test": ("stsb", "STS-B.tsv", 1379),
    "qqp_test": ("qqp", "QQP.tsv", 390_965),
    "mnli_matched_test": ("mnli", "MNLI-m.tsv", 9796),
    "mnli_mismatched_test": ("mnli", "MNLI-mm.tsv", 9847),
    "qnli_test": ("qnli", "QNLI.tsv", 5463),
    "rte_test": ("rte", "RTE.tsv", 3000),
    "wnli_test": ("wnli", "WNLI.tsv", 146),
    "ax_test": ("ax", "AX.tsv", 1104),
}


def official(task: TaskDef, prediction: Any, where: str) -> str:
    """Format a prediction: a label word, or a number clipped to STS-B's scale with three decimals."""
    if not task.label_is_number:
        return label_word(prediction, task, where)
    try:
        return f"{min(5.0, max(0.0, float(prediction))):.3f}"
    except (TypeError, ValueError):
        raise UserError(f"{where}: prediction {prediction!r} is not a number") from None


def submission(predictions: str, out: str = "submission.zip") -> None:
    """Write the official files of all tasks that have predictions, and print which files are missing.

    Args:
        predictions: Folder of {dataset}.jsonl files, such as runs/glue-multitask/predictions.
        out: Zip file to write.

    Raises:
        UserError: the folder has no predictions of a test split, or a file is malformed.
    """
    from mt_dnn.task_types import load_tasks

    tasks, files = load_tasks(TASK_FILE), {}
    for dataset, path in find_predictions(predictions, FILES, "GLUE").items():
        task, name, size = FILES[dataset]
        rows = read_predictions(path, int, partial(official, tasks[task]))
        files[name] = "index\tprediction\n" + "".join(f"{i}\t{p}\n" for i, p in rows.items())
        print(f"{name:12} {len(rows)} rows from {path}")
        if list(rows) != list(range(size)):
            print(f"warning: {name} should have {size} rows, indexed 0 to {size - 1}")
    write_zip(out, files, [name for _, name, _ in FILES.values()], "GLUE")


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.glue.submission", description=__doc__)
    parser.add_function_arguments(submission)
    submission(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
