"""Publish a finished run: ``mt-dnn export --run runs/glue --out published/glue``.

Without ``--task`` it is the shared encoder alone; with it, that task's model as transformers has it.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import TYPE_CHECKING

from data_utils.files import check_out, written_whole

if TYPE_CHECKING:  # --help needs no torch
    from mt_dnn.encoders.encoder import Encoder


def export(run: str, out: str, *, task: str | None = None, overwrite: bool = False) -> str:
    """Write configuration, weights, tokenizer and a model card; returns the class that loads them.

    What is written has been loaded and held against the run before it takes its place: embeddings
    are equal to the last bit, logits up to float32 rounding.

    Args:
        run: a run directory, or its ``best`` folder.
        out: the folder to write.
        task: whose head to take along; None: the encoder alone.
        overwrite: replace a model folder that is there.

    Raises:
        UserError: no such run or task, ``out`` is taken, or transformers has no head like the task's.
    """
    folder = check_out(out, overwrite=overwrite, runs=[run])

    # After the mistakes that are quickly seen: these load torch.
    from data_utils.task_def import dataset_name
    from mt_dnn.encoders.pretrained import quiet
    from mt_dnn.inference.predictor import load
    from mt_dnn.model import MTDNN
    from mt_dnn.publish.auto_model import build_auto_model, check_encoder, check_task, encoder_class
    from mt_dnn.runs.model_card import model_card
    from mt_dnn.runs.run_dir import model_folder, read_scores

    predictor = load(run)
    model = predictor.model
    assert isinstance(model, MTDNN)  # of one run
    encoder = model.encoder
    with written_whole(folder) as aside:
        predictor.tokenizer.save_pretrained(aside)
        if task is None:
            name = encoder_class(encoder)
            encoder.save_pretrained(aside)
            check_encoder(aside, model)
            about = f"The shared encoder of a run on {', '.join(model.tasks)}"
            length, scores = predictor.max_seq_len, {}
        else:
            definition = predictor.task(task)
            name = str(model.task_types[task].auto_model)
            built = build_auto_model(model, task)
            with quiet():
                built.save_pretrained(aside)
            check_task(aside, model, task)
            about = f"Task {task} ({definition.task_type}) of a run on {', '.join(model.tasks)}"
            length = definition.max_seq_len or predictor.max_seq_len
            sets = {dataset_name(task, split) for split in definition.splits("dev")}
            saved = read_scores(model_folder(run))
            scores = {dataset: saved[dataset] for dataset in saved if dataset in sets}
        card = model_card(
            folder.name,
            f"{about}; sequences of up to {length} tokens.",
            use=_how_to_load(name, folder.name, encoder),
            scores=scores,
        )
        (aside / "README.md").write_text(card, encoding="utf-8")
    return name


def _how_to_load(name: str, folder: str, encoder: Encoder) -> str:
    lines = [
        f"from transformers import {name}, AutoTokenizer",
        "",
        f'model = {name}.from_pretrained("{folder}")',
        f'tokenizer = AutoTokenizer.from_pretrained("{folder}")',
    ]
    module = type(encoder.config).__module__
    if not module.startswith("transformers."):  # an architecture of ours registers itself
        lines.insert(0, f"import {module}")
    return "\n".join(["```python", *lines, "```"])


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn export") -> None:
    """Export as the arguments describe; ``args`` defaults to those of the process."""
    parser = ArgumentParser(
        prog=prog,
        description="Publish a finished run in plain Hugging Face layout.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--run", required=True, help="Run directory, or its best/ folder.")
    add("--out", required=True, help="Folder to write.")
    add("--task", help="Whose head to take along; left out: the shared encoder alone.")
    add("--overwrite", action="store_true", help="Replace a model folder that is there.")
    given = parser.parse_args(args)
    name = export(given.run, given.out, task=given.task, overwrite=given.overwrite)
    print(f"written: {given.out}: {name}, the same function as the run's")
