"""QNLI as ranking: lists of candidate sentences from pairs, and a classifier of pairs scored on lists.

MT-DNN (arXiv 1901.11504, section 3.1) trains QNLI with a softmax over the candidate sentences of a question.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.registries import METRICS
from experiments.suite import Cells, numbered_lines

RIGHT = "entailment"
"""Label of a pair whose sentence answers the question."""


def ranking_rows(rows: Iterable[Cells], name: str) -> Iterator[Cells]:
    """Convert pairs to lists: uid, ruid, labels, question, and its sentences in the order of the pairs.

    The list of a question has all of its pairs. Questions whose pairs have one label, such as those with a
    single pair, have nothing to rank; they are left out and counted. Prints the counts.

    Args:
        rows: uid, label, question and sentence of each pair.
        name: name of the data set for the message.
    """
    lists: dict[str, list[Cells]] = {}
    for row in rows:
        lists.setdefault(row[2], []).append(row)
    kept = {q: pairs for q, pairs in lists.items() if len({label for _, label, *_ in pairs}) == 2}
    print(
        f"{name}: {len(kept)} of {len(lists)} questions have right and wrong sentences "
        f"({sum(map(len, kept.values()))} of {sum(map(len, lists.values()))} pairs); the others are left out"
    )
    for question, pairs in kept.items():
        uids, labels, _, sentences = zip(*pairs, strict=True)
        yield uids[0], ",".join(uids), ",".join(labels), question, *sentences


def scores(predictions: str, lists: str) -> dict[str, float]:
    """Print the scores of a classifier of pairs on the lists: Top1 and MRR, and ACC over their pairs.

    A run of qnli_ranking prints the same scores of its own. Candidates are ranked by their probability of
    entailment. ACC of the classifier judges each pair alone; ACC of a ranking calls the first candidate of a
    list right, and so uses that the list has a right one.

    Args:
        predictions: Predictions of qnli, such as runs/NAME/predictions/qnli.jsonl.
        lists: The prepared lists, such as data/glue/qnli_ranking_dev.tsv.

    Returns:
        Metric -> score.

    Raises:
        UserError: a file is malformed, or a pair of the lists has no prediction.
    """
    pairs = dict(_read_pairs(Path(predictions)))
    gold, called, probabilities = [], [], []
    for where, line in numbered_lines(Path(lists)):
        try:
            _, ruid, labels, *_ = line.split("\t")
            own = [pairs[uid] for uid in ruid.split(",")]
        except ValueError:
            raise UserError(
                f"{where}: expected a row of qnli_ranking, found {line[:80]!r}"
            ) from None
        except KeyError as uid:
            raise UserError(f"{where}: pair {uid} has no prediction in {predictions}") from None
        gold.append([int(label == RIGHT) for label in labels.split(",")])
        called.append([int(prediction == RIGHT) for prediction, _ in own])
        probabilities.append([probability for _, probability in own])
    first = [[int(i == row.index(max(row))) for i in range(len(row))] for row in probabilities]
    found = {
        name: METRICS.get(name)(gold, called if name == "ACC" else first, probabilities)
        for name in ("Top1", "MRR", "ACC")
    }
    values = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    print(f"{values} ({len(gold)} lists, {sum(map(len, gold))} pairs)")
    return found


def _read_pairs(path: Path) -> Iterator[tuple[str, tuple[str, float]]]:
    """Yield uid -> (predicted label, probability of entailment) of each pair."""
    for where, line in numbered_lines(path):
        try:
            record: dict[str, Any] = json.loads(line)
            yield record["uid"], (record["prediction"], float(record["scores"][RIGHT]))
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{where}: expected a prediction of qnli, found {line[:80]!r}"
            ) from None


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.glue.ranking", description=__doc__)
    parser.add_function_arguments(scores)
    scores(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
