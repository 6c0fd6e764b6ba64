"""Predictions against the benchmark's own file: all its questions and answers, none cleaned or left out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.metrics import METRICS
from experiments.squad.questions import questions, read_articles
from experiments.suite import numbered_lines


def evaluate(data: str, predictions: str) -> dict[str, float]:
    """Print what SQuAD's script prints: exact and f1 of all questions, of those with and without an answer.

    A question without a prediction is wrong, and counted.

    Args:
        data: SQuAD's JSON, such as dev-v2.0.json.
        predictions: JSON lines with uid and prediction, such as runs/x/predictions/squad2.jsonl.

    Raises:
        UserError: a file that is malformed, ids that repeat, or predictions for other questions.
    """
    predicted = read_predictions(Path(predictions))
    gold = read_gold(Path(data))
    if unknown := set(predicted) - set(gold):
        raise UserError(f"{predictions}: {min(unknown)!r} is no question of {data}")
    answerable = {uid for uid, answers in gold.items() if any(map(str.strip, answers))}
    scores: dict[str, float] = {}
    parts = [("", gold.keys()), ("HasAns_", answerable), ("NoAns_", gold.keys() - answerable)]
    for part, uids in parts if len(answerable) < len(gold) else parts[:1]:
        if uids:
            scores |= {f"{part}{name}": v for name, v in _scores(uids, gold, predicted).items()}
    print(json.dumps(scores, indent=2))
    if missing := len(gold) - len(predicted):
        print(f"{missing} questions have no prediction")
    return scores


def _scores(
    uids: Iterable[str], gold: dict[str, list[str]], predicted: dict[str, str]
) -> dict[str, float]:
    wanted = list(uids)
    there = [uid for uid in wanted if uid in predicted]
    share = len(there) / len(wanted)
    answers, texts = [gold[uid] for uid in there], [predicted[uid] for uid in there]
    scores = {
        name: share * METRICS.get(metric)(answers, texts) if there else 0.0
        for name, metric in (("exact", "EM"), ("f1", "EmF1"))
    }
    return scores | {"total": len(wanted)}


def read_gold(path: Path) -> dict[str, list[str]]:
    """Question id -> its right answers; none: it has no answer."""
    gold: dict[str, list[str]] = {}
    for question in questions(read_articles(path), path):
        if question.uid in gold:
            raise UserError(f"{path}: question id {question.uid} stands twice")
        gold[question.uid] = [] if question.impossible else [text for text, _ in question.answers]
    return gold


def read_predictions(path: Path) -> dict[str, str]:
    """Question id -> the predicted answer; empty: none."""
    predicted: dict[str, str] = {}
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    for where, line in numbered_lines(path):
        try:
            record = json.loads(line)
            uid, answer = record["uid"], record["prediction"]
        except (ValueError, KeyError, TypeError):
            answer = None
        if not isinstance(answer, str):
            raise UserError(
                f'{where}: expected {{"uid": text, "prediction": text}}, found {line[:80]!r}'
            )
        if uid in predicted:
            raise UserError(f"{where}: uid {uid} stands twice")
        predicted[uid] = answer
    return predicted


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.squad.evaluate", description=__doc__)
    parser.add_function_arguments(evaluate)
    evaluate(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
