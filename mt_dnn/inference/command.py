"""The command ``mt-dnn predict``, also available as ``python predict.py``."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Literal, NoReturn, get_type_hints

from jsonargparse import ArgumentParser

from data_utils.errors import UserError
from data_utils.flags import fail, long_options
from data_utils.outputs import open_output
from data_utils.plugins import add_plugins_flag
from mt_dnn.config.messages import reworded


def predict(
    run: list[str],
    task: str | None = None,
    input: str = "-",
    output: str | None = None,
    what: Literal["predictions", "logits", "embeddings"] = "predictions",
    text: bool = False,
    layer: int | None = None,
    tokens: bool = False,
    pooling: Literal["cls", "mean", "max"] | None = None,
    tasks: str | None = None,
    columns: dict[str, str] | None = None,
    batch_size: int = 64,
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    plugins: Sequence[str] = (),
) -> None:
    """Predict rows of text and write one JSON line per row, in the order of the rows.

    If the rows have labels, also compute the task's metrics and print them to standard error.

    Args:
        run: Run directories, or their best/ folders.
        task: Task whose head predicts; may be omitted if the run has a single task.
        input: A .tsv, .csv or .jsonl file, for lists of words also CoNLL columns (.conll, .bio, .iob, .iob2), or -
            for standard input, which is read and predicted batch by batch. TSV has either all canonical columns of the task (uid, label, texts; labels may be empty) or
            its text columns only. JSON lines use the column names, such as premise and hypothesis.
        output: File to write, which appears only when it is complete. A device or pipe, such as /dev/stdout, is
            written to instead. Defaults to standard output.
        what: predictions: labels and probabilities. logits: the raw outputs of the head. embeddings: the
            output of the shared encoder for texts, pairs (two columns, or a ||| b) or, in JSON lines, lists
            of words (tokens), without --task.
        text: Also write the texts of each row.
        layer: Layer of embeddings: 0 is the output of the encoder's embedding block, 1 that of the first layer,
            -1 of the last, -2 of the one before it. Defaults to the last.
        tokens: Embeddings of all tokens, with their places in the texts, in place of one vector for each row.
        pooling: How the tokens of a row become one embedding: cls (the first token), mean or max. Defaults to mean.
        tasks: Task file with the definition of --task, for a task that was not trained but shares a head
            with a trained task.
        columns: Names of the file's columns where they are not those of the task, such as
            --columns.premise text --columns.label opinion. The first line of a .tsv file then names its columns.
        batch_size: Number of rows in a batch.
        device: Device to compute on. auto selects CUDA if available, else MPS, else CPU.
        precision: Precision of the passes. bf16 is faster on devices that have it, and rounds more.
        plugins: Modules to import first; see :func:`mt_dnn.load`.

    Raises:
        UserError: the input file does not exist, a run cannot be loaded, a row is malformed, a flag does not fit
            ``what``, or ``output`` is the input or a folder.
    """
    path = Path(input)
    if input != "-" and (not path.exists() or path.is_dir()):
        raise UserError(f"--input: file {input} does not exist")
    if columns and what == "embeddings":
        raise UserError("--columns names the columns of a task; embeddings belong to none")
    if batch_size < 1:
        raise UserError(f"--batch_size: {batch_size}; it must be at least 1")

    # Imported after parsing, because these modules import torch and --help should be fast.
    from data_utils.utf8 import open_lines
    from mt_dnn.inference.lines import Content, choose_task, metrics_line, predict_lines
    from mt_dnn.inference.predictor import load
    from mt_dnn.inference.progress import rows_done

    content = Content(what, text, layer, tokens, pooling)
    predictor = load(run, device, plugins=plugins, precision=precision)
    definition = choose_task(predictor, task, what, tasks)
    with (
        open_lines(sys.stdin.fileno() if input == "-" else path) as lines,
        nullcontext(sys.stdout) if output is None else open_output(output, source=input) as stream,
        rows_done(enabled=output is not None or not sys.stdout.isatty()) as done,
    ):

        def write(text: str) -> None:
            stream.write(text)
            stream.flush()
            done(text.count("\n"))

        scored = predict_lines(
            predictor,
            definition,
            lines,
            name="<stdin>" if input == "-" else input,
            content=content,
            write=write,
            batch_size=batch_size,
            columns=columns,
            chunk=batch_size if input == "-" and arrives(sys.stdin.fileno()) else 16 * batch_size,
        )
    if scored:
        kind = predictor.model.task_types[definition.name]
        print(metrics_line(kind, scored), file=sys.stderr)


class PredictParser(ArgumentParser):
    """The parser of the command, which reports errors in one line."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message in words of ours and exit with code 2."""
        message = message.replace("required: run", "required: --run")
        fail(self.prog, reworded(message, get_type_hints(predict), long_options(self)))


def arrives(descriptor: int) -> bool:
    """Whether the rows of a stream may arrive one at a time; not those of a redirected file.

    Rows that are all there are sorted by length over several batches, which needs less padding.
    """
    return not stat.S_ISREG(os.fstat(descriptor).st_mode)


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn predict") -> None:
    """Run the command.

    Args:
        args: arguments without the program's name; None takes ``sys.argv[1:]``.
        prog: name of the program in usage and error messages.
    """
    parser = PredictParser(prog=prog, description="Predict with finished runs.", allow_abbrev=False)
    parser.add_argument(
        "--run",
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="Run directory, or its best/ folder. Several form an ensemble that averages logits.",
    )
    switches = {
        "text": "Also write the texts of each row.",
        "tokens": "Embeddings of all tokens, with their places in the texts, in place of one vector for each row.",
    }
    parser.add_function_arguments(predict, skip={"run", "plugins", *switches})
    for name, about in switches.items():
        parser.add_argument(f"--{name}", action="store_true", help=about)
    add_plugins_flag(parser)
    predict(**parser.parse_args(args).as_dict())
