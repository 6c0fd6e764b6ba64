"""The command ``mt-dnn predict``, which ``python predict.py`` runs too."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser

from data_utils.errors import UserError
from data_utils.files import atomic_file


def predict(
    run: list[str],
    task: str | None = None,
    input: str = "-",
    output: str | None = None,
    what: Literal["predictions", "logits", "embeddings"] = "predictions",
    tasks: str | None = None,
    batch_size: int = 64,
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto",
) -> None:
    """Answer rows of text in JSON lines, in the rows' order; score them where they have labels.

    Args:
        run: Run directories, or their best/ folders.
        task: Whose head answers; may be left out where the run has one task.
        input: A .tsv or .jsonl file, or - for standard input, answered batch by batch as it comes. TSV has
            the task's canonical columns (uid, label, texts; labels may be empty) or its texts alone; JSON
            lines have the columns' names: premise, hypothesis.
        output: File to write, whole or not at all; standard output unless said.
        what: Labels and probabilities; the head's raw outputs; or the shared encoder's vector of each
            text, averaged over its tokens (for single texts, without --task).
        tasks: Task file to take --task from: one that was not trained but shares a head of the run.
        batch_size: Rows in a batch.
        device: Where to compute; auto: CUDA, else MPS, else CPU.
    """
    path = Path(input)
    if input != "-" and (not path.exists() or path.is_dir()):
        raise UserError(f"--input: there is no file {input}")
    if batch_size < 1:
        raise UserError(f"--batch_size: {batch_size}; it must be at least 1")

    # After parsing: --help needs no torch.
    from data_utils.sources import open_lines
    from mt_dnn.inference.lines import choose_task, metrics_line, predict_lines
    from mt_dnn.inference.predictor import load

    predictor = load(run, device)
    definition = choose_task(predictor, task, what, tasks)
    with (
        open_lines(sys.stdin.fileno() if input == "-" else path) as lines,
        nullcontext(sys.stdout)
        if output is None
        else atomic_file(Path(output), setting="--output") as stream,
    ):

        def write(text: str) -> None:
            stream.write(text)
            stream.flush()

        scored = predict_lines(
            predictor,
            definition,
            lines,
            name="<stdin>" if input == "-" else input,
            what=what,
            write=write,
            batch_size=batch_size,
            chunk=batch_size if input == "-" else 16 * batch_size,
        )
    if scored:
        kind = predictor.model.task_types[definition.name]
        print(metrics_line(kind, scored), file=sys.stderr)


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn predict") -> None:
    """Predict as the arguments describe; ``args`` defaults to those of the process."""
    parser = ArgumentParser(
        prog=prog, description="Predict with finished runs.", allow_abbrev=False
    )
    parser.add_argument(
        "--run",
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="Run directory, or its best/ folder. Several are an ensemble: the mean of their logits.",
    )
    parser.add_function_arguments(predict, skip={"run"})
    predict(**parser.parse_args(args).as_dict())
