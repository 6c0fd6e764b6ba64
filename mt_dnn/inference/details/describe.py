"""The details of a finished run: computed from its predictions, for scores.json and ``errors/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_utils import strict_json
from data_utils.files import atomic_file, remove
from data_utils.metrics.base import Results
from data_utils.registries import METRICS
from mt_dnn.inference.details.answers import by_answer
from mt_dnn.inference.details.calibration import calibration
from mt_dnn.inference.details.classes import class_rows, confusion, word_rows
from mt_dnn.inference.details.decisions import Confidence, example_decisions
from mt_dnn.inference.details.intervals import score_intervals
from mt_dnn.inference.details.mistakes import Chosen, choose_examples
from mt_dnn.inference.details.predictions import read_predictions
from mt_dnn.inference.details.ranges import error_ranges
from mt_dnn.inference.details.texts import (
    source_groups,
    source_texts,
    stored_texts,
    unchanged_source,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from data_utils.store import StoreSubset, TaskStore
    from mt_dnn.task_types import TaskType

OF_RESULTS: dict[str, Callable[[Results], Any]] = {
    "classes": class_rows,
    "words": word_rows,
    "confusion": confusion,
    "ranges": error_ranges,
}
"""Name of a detail, as task types give it -> its function. ``calibration`` and ``answers`` take more."""


def describe_run(
    run_dir: Path,
    kinds: Mapping[str, TaskType],
    stores: Mapping[str, TaskStore | StoreSubset],
    *,
    data_dir: str | Path,
    tokenizer: PreTrainedTokenizerBase,
) -> dict[str, dict[str, Any]]:
    """Compute the details of all data sets with labels, and write ``errors/<dataset>.jsonl``.

    The predictions are those in the run directory; a data set without a file of predictions is left out.

    Args:
        run_dir: the run.
        kinds: the task types, by task.
        stores: the predicted data sets, by name.
        data_dir: folder of the rows.
        tokenizer: decodes texts whose source is gone.

    Returns:
        ``intervals``: data set -> metric -> (low, high). ``details``: data set -> see :func:`describe`.
    """
    found: dict[str, dict[str, Any]] = {"intervals": {}, "details": {}}
    remove(run_dir / "errors")
    for dataset, store in stores.items():
        kind = kinds[store.manifest.task]
        path = run_dir / "predictions" / f"{dataset}.jsonl"
        outcome = kind.outcome(kind.task)
        results = read_predictions(path, kind.task, outcome) if path.exists() else None
        if results is None:
            continue
        split, fingerprint = store.manifest.split, store.manifest.source_hash
        source = unchanged_source(kind.task, split, data_dir, fingerprint)
        groups = None if source is None else source_groups(source, kind.task, results.uids)
        metrics = {name: METRICS.get(name) for name in kind.task.metrics}
        if intervals := score_intervals(metrics, results, groups):
            found["intervals"][dataset] = intervals
        found["details"][dataset], examples = describe(kind, results)
        if examples:
            places = [place for _, place, _ in examples]
            texts = {} if source is None else source_texts(source, kind.task, results.uids, places)
            missing = [place for place in places if place not in texts]
            texts |= stored_texts(store, tokenizer, missing)
            _write_errors(run_dir / "errors" / f"{dataset}.jsonl", kind, results, examples, texts)
    return found


def describe(kind: TaskType, results: Results) -> tuple[dict[str, Any], list[Chosen]]:
    """Return the details that fit a task type, and the examples to read.

    Returns:
        ``examples``, their number; ``outcome``, what the task predicts, a name of
        :class:`~data_utils.metrics.outcome.Outcome`; and those of ``classes``, ``confusion``,
        ``calibration``, ``ranges`` and ``answers`` that fit.
    """
    outcome = kind.outcome(kind.task)
    confidences: list[Confidence] = [None] * len(results.predicted)
    if results.scores is not None:
        pairs = zip(results.predicted, results.scores, strict=True)
        confidences = [kind.confidence(value, scores) for value, scores in pairs]
    decisions = example_decisions(results, outcome, confidences)
    found: dict[str, Any] = {"examples": len(results.gold)}
    if outcome is not None:
        found["outcome"] = outcome.name
    for name in kind.details():
        if name == "answers":
            value = by_answer(results, {m: METRICS.get(m) for m in kind.task.metrics})
        elif name == "calibration":
            value = None if decisions is None else calibration(decisions)
        else:
            value = OF_RESULTS[name](results)
        if value is not None:
            found["classes" if name == "words" else name] = value
    return found, choose_examples(results, outcome, decisions)


def _write_errors(
    path: Path,
    kind: TaskType,
    results: Results,
    examples: list[Chosen],
    texts: Mapping[int, dict[str, str]],
) -> None:
    with atomic_file(path) as lines:
        for name, place, confidence in examples:
            record = {
                "kind": name,
                "uid": results.uids[place],
                "text": texts[place],
                "gold": kind.in_words(results.gold[place]),
                "prediction": kind.in_words(results.predicted[place]),
                "confidence": confidence,
            }
            lines.write(strict_json.dumps(record) + "\n")
