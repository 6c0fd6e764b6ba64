"""Score predictions against the benchmark's own file, with all questions and uncleaned answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.metrics.answers import answer_tokens
from data_utils.registries import METRICS
from experiments.squad.questions import questions, read_articles
from experiments.suite import numbered_lines


def evaluate(data: str, predictions: str) -> dict[str, float]:
    """Print the scores of SQuAD's script: exact match and F1 over all, answerable, unanswerable questions.

    A question without a prediction counts as wrong, and the number of such questions is printed.

    Args:
        data: SQuAD's JSON, such as dev-v2.0.json.
        predictions: JSON lines with uid and prediction, such as runs/x/predictions/squad2.jsonl.

    Raises:
        UserError: a file is malformed, an id is repeated, or a prediction belongs to no question.
    """
    predicted = read_predictions(Path(predictions))
    gold = read_gold(Path(data))
    if unknown := set(predicted) - set(gold):
        raise UserError(f"{predictions}: uid {min(unknown)!r} is not a question id in {data}")
    answerable = {uid for uid, answers in gold.items() if any(map(str.strip, answers))}
    scores: dict[str, float] = {}
    parts = [("", gold.keys()), ("HasAns_", answerable), ("NoAns_", gold.keys() - answerable)]
    if len(answerable) < len(gold):  # the script of v2.0 drops accepted answers without words
        gold = {uid: list(filter(answer_tokens, answers)) for uid, answers in gold.items()}
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
    """Read question id -> correct answers; empty for an unanswerable question."""
    gold: dict[str, list[str]] = {}
    for question in questions(read_articles(path), path):
        if question.uid in gold:
            raise UserError(f"{path}: question id {question.uid} occurs twice")
        gold[question.uid] = [] if question.impossible else [text for text, _ in question.answers]
    return gold


def read_predictions(path: Path) -> dict[str, str]:
    """Read question id -> predicted answer; an empty answer means that there is none."""
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
            raise UserError(f"{where}: uid {uid} occurs twice")
        predicted[uid] = answer
    return predicted


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.squad.evaluate", description=__doc__)
    parser.add_function_arguments(evaluate)
    evaluate(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
