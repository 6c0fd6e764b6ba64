"""Publish a finished run: ``mt-dnn export --run runs/glue --out published/glue``.

Without ``--task`` only the shared encoder is exported. With it, encoder and head of that task are
exported as a model class of transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_utils.errors import UserError
from data_utils.files import atomic_folder, write_text
from data_utils.flags import FlagParser
from data_utils.outputs import check_out
from data_utils.plugins import add_plugins_flag

if TYPE_CHECKING:  # --help needs no torch
    from mt_dnn.encoders.encoder import Encoder


def export(
    run: str,
    out: str,
    *,
    task: str | None = None,
    adapter: str = "merged",
    overwrite: bool = False,
    plugins: Sequence[str] = (),
) -> str:
    """Write configuration, weights, tokenizer and model card; return the name of the loading class.

    The exported model is loaded and compared with the run before it is moved to ``out``: embeddings must
    be bitwise equal, logits equal up to float32 rounding.

    Args:
        run: a run directory, or its ``best`` folder.
        out: the folder to write.
        task: the task whose head is exported too; None exports the encoder alone.
        adapter: "merged" exports the encoder with its adapter merged; "apart" exports the adapter alone,
            in PEFT's format. A run without an adapter has nothing to merge.
        overwrite: replace ``out`` if it is a model folder.
        plugins: modules to import first; see :func:`mt_dnn.load`.

    Raises:
        UserError: the run or task does not exist, ``out`` is not free, transformers has no head that
            is equivalent to the task's, or the run has no adapter to export apart.
    """
    if adapter == "apart" and task is not None:
        raise UserError(
            "--adapter apart exports the adapter of the shared encoder, without heads; leave out --task, or "
            "export the task merged"
        )
    folder = check_out(out, overwrite=overwrite, runs=[run])

    # Imported after the arguments are checked, because these modules load torch.
    from data_utils.task_def import dataset_name
    from mt_dnn.encoders.pretrained import quiet
    from mt_dnn.inference.predictor import load
    from mt_dnn.model import MTDNN
    from mt_dnn.publish.adapter import write_adapter
    from mt_dnn.publish.auto_model import build_auto_model, check_encoder, check_task, encoder_class
    from mt_dnn.runs.model_card import model_card
    from mt_dnn.runs.model_folder import model_folder, read_scores, read_test_scores

    predictor = load(run, plugins=plugins)
    model = predictor.model
    assert isinstance(model, MTDNN)  # of one run
    encoder = model.encoder
    with atomic_folder(folder) as aside:
        predictor.tokenizer.save_pretrained(aside)
        length = predictor.max_seq_len
        scores: dict[str, dict[str, Any]] = {}
        test: dict[str, dict[str, Any]] = {}
        if adapter == "apart":
            base = write_adapter(aside, model_folder(run), model)
            name = "PeftModel"
            about = (
                f"The adapter of a run on {', '.join(model.tasks)}, without the encoder `{base}`"
            )
            use = _how_to_load(encoder_class(encoder), folder.name, encoder, base=base)
        elif task is None:
            name = encoder_class(encoder)
            encoder.save_pretrained(aside)
            check_encoder(aside, model)
            about = f"The shared encoder of a run on {', '.join(model.tasks)}"
            use = _how_to_load(name, folder.name, encoder)
        else:
            definition = predictor.task(task)
            name = str(model.task_types[task].auto_model)
            built = build_auto_model(model, task)
            with quiet():
                built.save_pretrained(aside)
            check_task(aside, model, task)
            about = f"Task {task} ({definition.task_type}) of a run on {', '.join(model.tasks)}"
            length = definition.max_seq_len or predictor.max_seq_len
            sets = {task, *(dataset_name(task, split) for split in definition.splits("dev"))}
            saved = read_scores(model_folder(run))
            scores = {dataset: saved[dataset] for dataset in saved if dataset in sets}
            sets = {dataset_name(task, split) for split in definition.splits("test")}
            test = {n: own for n, own in read_test_scores(model_folder(run)).items() if n in sets}
            use = _how_to_load(name, folder.name, encoder)
        card = model_card(
            folder.name,
            f"{about}; sequences of up to {length} tokens.",
            use=use,
            scores=scores | test,
            test=test,
        )
        write_text(aside / "README.md", card)
    return name


def _how_to_load(name: str, folder: str, encoder: Encoder, *, base: str | None = None) -> str:
    """Return Markdown that loads a model; ``base`` is the encoder that an adapter belongs to."""
    from mt_dnn.encoders.pretrained import PACKAGE

    place = f'"{base or folder}"'
    if base is not None and base.startswith(PACKAGE):
        place = f"resolve_encoder({place})"
    lines = [
        f"from transformers import {name}, AutoTokenizer",
        "",
        f"model = {name}.from_pretrained({place})",
        f'tokenizer = AutoTokenizer.from_pretrained("{folder}")',
    ]
    if base is not None:
        lines.insert(0, "from peft import PeftModel")
        if base.startswith(PACKAGE):
            package = base.removeprefix(PACKAGE)
            found = f"from mt_dnn.encoders.pretrained import resolve_encoder  # in the package {package}"
            lines.insert(0, found)
        lines.append(f'model = PeftModel.from_pretrained(model, "{folder}")')
    module = type(encoder.config).__module__
    if not module.startswith("transformers."):  # importing our own architecture registers it
        lines.insert(0, f"import {module}")
    return "\n".join(["```python", *lines, "```"])


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn export") -> None:
    """Export as the arguments describe; ``args`` defaults to those of the process."""
    parser = FlagParser(
        prog=prog,
        description="Publish a finished run in plain Hugging Face layout.",
    )
    add = parser.add_argument
    add("--run", required=True, help="Run directory, or its best/ folder.")
    add("--out", required=True, help="Folder to write.")
    add("--task", help="Export this task's head too; default: the shared encoder alone.")
    add(
        "--adapter",
        choices=("merged", "apart"),
        default="merged",
        help="merged: whole weights, with the adapter of the run merged (default). apart: the adapter alone, "
        "in PEFT's format.",
    )
    add("--overwrite", action="store_true", help="Replace --out if it is a model folder.")
    add_plugins_flag(parser)
    options = parser.parse_args(args)
    name = export(
        options.run,
        options.out,
        task=options.task,
        adapter=options.adapter,
        overwrite=options.overwrite,
        plugins=options.plugins,
    )
    print(f"written: {options.out}; load it with {name}; its outputs equal the run's")
