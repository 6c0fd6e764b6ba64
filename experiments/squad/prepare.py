"""Prepare canonical rows of SQuAD and TyDi QA, from their JSON files or the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.task_def import TaskDef
from experiments.squad.questions import (
    Articles,
    Question,
    QuestionRow,
    has_labels,
    locate_answers,
    questions,
    read_articles,
    split_articles,
)
from experiments.suite import (
    SKIPS_SHOWN,
    Skipped,
    Splits,
    check_source,
    choose_tasks,
    load_hub,
    write_tasks,
)

TASK_FILE = Path(__file__).parent / "tasks.yml"
DEV_SHARE = 4
"""With ``split_dev``, one article in DEV_SHARE is in dev."""


@dataclass(frozen=True)
class Layout:
    """Files and hub dataset of a task."""

    files: dict[str, tuple[str, ...]]
    """Split -> possible file names; the first existing file is used."""
    hub: str
    config: str | None = None
    uid_prefix: str = ""
    """Only hub questions whose id has this prefix are used."""
    unanswerable: bool = False
    """Whether a question may have no answer."""


LAYOUTS = {
    "squad": Layout(
        {"train": ("train-v1.1.json",), "dev": ("dev-v1.1.json",)},
        "rajpurkar/squad",
    ),
    "squad2": Layout(
        {"train": ("train-v2.0.json",), "dev": ("dev-v2.0.json", "squad2_dev_half.json")},
        "rajpurkar/squad_v2",
        unanswerable=True,
    ),
    "tydiqa": Layout(
        {
            "train": ("tydiqa.goldp.en.train.json", "tydiqa_en_train.json"),
            "dev": ("tydiqa.goldp.en.dev.json", "tydiqa_en_dev.json"),
        },
        "google-research-datasets/tydiqa",
        config="secondary_task",
        uid_prefix="english-",
    ),
}


def to_rows(
    found: Iterable[Question], task: TaskDef, split: str, skipped: Skipped
) -> Iterator[QuestionRow]:
    """Convert questions to rows; print which answer offsets were corrected and which answers dropped."""
    all_found = list(found)
    if len({question.uid for question in all_found}) < len(all_found):
        print(f"{task.name} {split}: question ids repeat; row numbers are used as uids")
        all_found = [q._replace(uid=str(number)) for number, q in enumerate(all_found)]
    moved: list[str] = []
    lost: list[str] = []
    for question in all_found:
        if question.impossible and not LAYOUTS[task.name].unanswerable:
            skipped.append(f"{question.where}: is_impossible, which only task squad2 supports")
            continue
        located = locate_answers(question)
        moved += located.moved
        lost += located.lost
        if located.row is None:
            skipped.append(f"{question.where}: no answer occurs in the document")
        else:
            yield located.row
    _print_lines(
        f"{task.name} {split}: {len(moved)} answers moved to the nearest occurrence", moved
    )
    _print_lines(f"{task.name} {split}: {len(lost)} answers left out", lost)


def _print_lines(title: str, lines: list[str]) -> None:
    if lines:
        shown = [f"        {line}" for line in lines[:SKIPS_SHOWN]]
        more = len(lines) - len(shown)
        print("\n".join([f"{title}:", *shown, *([f"        and {more} more"] if more else [])]))


def read_folder(source: Path, task: TaskDef, skipped: Skipped, *, split_dev: bool) -> Splits:
    """Read the rows of every split whose file exists and has answers; print which do not."""
    parts: dict[str, tuple[Path, Articles]] = {}
    for split, names in LAYOUTS[task.name].files.items():
        path = next((source / name for name in names if (source / name).is_file()), None)
        if path is None:
            print(f"{task.name} {split}: no file {' or '.join(names)} in {source}")
            continue
        articles = read_articles(path)
        if has_labels(articles, path):
            parts[split] = path, articles
        print(f"{task.name} {split}: {path}{', which has no answers' * (split not in parts)}")
    if split_dev and len(parts) == 1:
        ((path, articles),) = parts.values()
        train, dev = split_articles(articles, share=DEV_SHARE)
        parts = {"train": (path, train), "dev": (path, dev)}
        print(f"{task.name}: {path} is split into train and dev by article; not an official split")
    return {
        split: to_rows(questions(articles, path), task, split, skipped)
        for split, (path, articles) in parts.items()
    }


def read_hub(task: TaskDef, skipped: Skipped) -> Splits:
    """Read the rows of every split of the dataset on the hub; no answers there means unanswerable.

    Raises:
        UserError: the hub cannot be reached, or does not have the dataset.
    """
    layout = LAYOUTS[task.name]
    dataset = load_hub(layout.hub, layout.config)

    def found(split: str) -> Iterator[Question]:
        for row in dataset["validation" if split == "dev" else split]:
            if not row["id"].startswith(layout.uid_prefix):
                continue
            answers = row["answers"]
            yield Question(
                where=f"{layout.hub} {split}: question {row['id']}",
                uid=row["id"],
                text=row["question"],
                document=row["context"],
                answers=list(zip(answers["text"], answers["answer_start"], strict=True)),
                impossible=layout.unanswerable and not answers["text"],
            )

    return {split: to_rows(found(split), task, split, skipped) for split in task.split_names}


def prepare(source: str, out: str = "data/squad", tasks: str = "", split_dev: bool = False) -> None:
    """Write {out}/{task}_{split}.tsv for every task found, and print the counts.

    Args:
        source: Folder that contains train-v1.1.json, dev-v1.1.json, train-v2.0.json, ..., or the word `hub` for the Hugging Face hub.
        out: Folder for the canonical rows.
        tasks: Names separated by commas, such as squad,squad2. Default: all tasks.
        split_dev: If only one file of a task exists and has answers, split it into train and dev by
            article. For experiments only; do not report scores on this split.

    Raises:
        UserError: a task is unknown, no data is found, or a file does not have the expected format.
    """
    task_defs = choose_tasks(TASK_FILE, tasks)
    check_source(source)

    def read(task: TaskDef, skipped: Skipped) -> Splits:
        if source == "hub":
            return read_hub(task, skipped)
        return read_folder(Path(source), task, skipped, split_dev=split_dev)

    write_tasks(task_defs, read, source=source, out=out)


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.squad.prepare", description=__doc__)
    parser.add_function_arguments(prepare)
    prepare(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
