"""Convert predictions on the test splits to the zip file that gluebenchmark.com accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef

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


def read_predictions(path: Path, task: TaskDef) -> dict[int, str]:
    """Read predictions as GLUE index -> text for the submission, ordered by index.

    Raises:
        UserError: a line is not a prediction, its label is unknown, or a uid is repeated.
    """
    predictions: dict[int, str] = {}
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            where = f"{path}:{number}"
            try:
                record = json.loads(line)
                index, prediction = int(record["uid"]), record["prediction"]
            except (ValueError, KeyError, TypeError):
                raise UserError(
                    f'{where}: expected {{"uid": integer, "prediction": ...}}, found {line[:80]!r}'
                ) from None
            if index in predictions:
                raise UserError(f"{where}: uid {index} occurs twice")
            predictions[index] = official(prediction, task, where)
    return dict(sorted(predictions.items()))


def official(prediction: Any, task: TaskDef, where: str) -> str:
    """Format a prediction: a label word, or a number clipped to STS-B's scale with three decimals."""
    if task.label_is_number:
        try:
            return f"{min(5.0, max(0.0, float(prediction))):.3f}"
        except (TypeError, ValueError):
            raise UserError(f"{where}: prediction {prediction!r} is not a number") from None
    if str(prediction) not in task.labels:
        raise UserError(
            f"{where}: {prediction!r} is not a label of {task.name}."
            f"{choices_hint(prediction, task.labels)}"
        )
    return str(prediction)


def submission(predictions: str, out: str = "submission.zip") -> None:
    """Write the official files of all tasks that have predictions, and print which files are missing.

    Args:
        predictions: Folder of {dataset}.jsonl files, such as runs/glue-multitask/predictions.
        out: Zip file to write.

    Raises:
        UserError: the folder has no predictions of a test split, or a file is malformed.
    """
    from mt_dnn.task_types import load_tasks

    tasks = load_tasks(TASK_FILE)
    folder = Path(predictions)
    found = {d: folder / f"{d}.jsonl" for d in FILES if (folder / f"{d}.jsonl").is_file()}
    if not found:
        raise UserError(
            f"no predictions of GLUE test splits in {folder}; looked for "
            f"{', '.join(f'{dataset}.jsonl' for dataset in FILES)}"
        )
    files = {}
    for dataset, path in found.items():
        task, name, size = FILES[dataset]
        rows = read_predictions(path, tasks[task])
        files[name] = "index\tprediction\n" + "".join(f"{i}\t{p}\n" for i, p in rows.items())
        print(f"{name:12} {len(rows)} rows from {path}")
        if list(rows) != list(range(size)):
            print(f"warning: {name} should have {size} rows, indexed 0 to {size - 1}")

    Path(out).parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(out, "w") as archive:
        for name, text in files.items():
            # ZipInfo has a fixed date, so equal predictions give an identical file.
            archive.writestr(ZipInfo(name), text, compress_type=ZIP_DEFLATED)
    print(f"wrote {out}")
    missing = [name for _, name, _ in FILES.values() if name not in files]
    if missing:
        print(f"missing: {', '.join(missing)} (the GLUE server requires all {len(FILES)} files)")


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.glue.submission", description=__doc__)
    parser.add_function_arguments(submission)
    submission(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
