"""experiments/domain_adaptation: the paper's sizes, parts within parts, classes in their shares."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from data_utils.errors import UserError
from experiments.domain_adaptation import prepare as domain_adaptation
from experiments.domain_adaptation.prepare import PER_MILLE, TASK_FILE, prepare
from experiments.domain_adaptation.subsets import apportion, nested_subset, subset_size
from mt_dnn.config.parser import parse_config
from mt_dnn.task_types import load_tasks
from tests.support.files import rows, write

PARTS = sorted(PER_MILLE.values())
LABELS = ("entailment", "neutral", "contradiction")


def pairs(count: int, labels: tuple[str, ...] = LABELS) -> list[list[str]]:
    """Class shares fall from the first label on."""
    rng = random.Random(0)
    weights = [1 / (1 + i) for i in range(len(labels))]
    chosen = rng.choices(labels, weights, k=count)
    return [[str(i), label, f"premise {i // 3}", f"claim {i}"] for i, label in enumerate(chosen)]


def snli_line(uid: int, label: str) -> str:
    record = {"gold_label": label, "sentence1": f"p\t{uid}", "sentence2": f"h {uid}"}
    return json.dumps(record | {"pairID": f"{uid}.jpg#0r1e", "annotator_labels": [label]})


@pytest.mark.parametrize(
    ("total", "sizes"),
    [(549_367, [549, 5_493, 54_936, 549_367]), (23_596, [23, 235, 2_359, 23_596])],
)
def test_the_papers_sizes(total, sizes):
    assert [subset_size(total, per_mille) for per_mille in PARTS] == sizes


def test_shares_are_the_nearest_whole_ones_and_add_up():
    rng = random.Random(1)
    for _ in range(500):
        counts = {str(i): rng.randrange(1, 1000) for i in range(rng.randrange(2, 8))}
        total = sum(counts.values())
        size = rng.randrange(total + 1)
        shares = apportion(size, counts)
        assert sum(shares.values()) == size
        remainders = {}
        for label, count in counts.items():
            quota = Fraction(size * count, total)
            assert abs(shares[label] - quota) < 1
            assert shares[label] <= count
            remainders[label] = quota - int(quota), shares[label] > quota
        up = [remainder for remainder, rounded_up in remainders.values() if rounded_up]
        down = [remainder for remainder, rounded_up in remainders.values() if not rounded_up]
        assert not up or not down or min(up) >= max(down)


def test_a_class_never_shrinks_in_a_larger_part():
    """Largest remainders can take a seat away where the house grows by one; not where it grows tenfold."""
    rng = random.Random(2)
    for _ in range(3000):
        counts = {
            str(i): rng.randrange(1, 10 ** rng.randrange(1, 5)) for i in range(rng.randrange(2, 11))
        }
        total = sum(counts.values())
        shares = [apportion(subset_size(total, per_mille), counts) for per_mille in PARTS]
        for small, large in itertools.pairwise(shares):
            assert all(small[label] <= large[label] for label in counts)


@pytest.mark.parametrize("seed", [0, 2018])
def test_parts_lie_within_one_another_in_the_files_order(seed):
    whole = pairs(5432)
    parts = [nested_subset(whole, per_mille, seed=seed) for per_mille in PARTS]
    assert [len(part) for part in parts] == [5, 54, 543, 5432]
    assert parts[-1] == whole
    for small, large in itertools.pairwise(parts):
        assert {row[0] for row in small} < {row[0] for row in large}
    for part in parts:
        assert part == sorted(part, key=lambda row: int(row[0]))
        counts = Counter(row[1] for row in part)
        exact = Counter(row[1] for row in whole)
        for label in LABELS:
            assert abs(counts[label] - len(part) * exact[label] / len(whole)) < 1


def test_the_choice_is_the_seeds_and_not_the_orders():
    whole = pairs(2000)
    chosen = nested_subset(whole, 10, seed=1)
    assert nested_subset(whole, 10, seed=1) == chosen
    assert nested_subset(whole, 10, seed=2) != chosen
    shuffled = [["renumbered", *row[1:]] for row in random.Random(0).sample(whole, len(whole))]
    texts = {tuple(row[2:]) for row in chosen}
    assert {tuple(row[2:]) for row in nested_subset(shuffled, 10, seed=1)} == texts


def test_the_choice_is_spread_over_the_file():
    """Not the first rows, and not those of a few premises."""
    chosen = nested_subset(pairs(6000), 100, seed=3)
    places = [int(row[0]) for row in chosen]
    assert 2700 < sum(places) / len(places) < 3300
    assert len({row[2] for row in chosen}) > 450


def test_the_download_of_both(raw, out, capsys):
    for split, count in (("train", 1500), ("dev", 6), ("test", 3)):
        labels = [*(LABELS[i % 3] for i in range(count)), "-"]
        lines = [snli_line(i, label) for i, label in enumerate(labels)]
        write(raw / f"snli_1.0/snli_1.0_{split}.jsonl", *lines)
    scitail = [f"premise {i}\tclaim\t{'entails' if i % 3 else 'neutral'}" for i in range(1200)]
    write(raw / "SciTailV1.1/tsv_format/scitail_1.0_train.tsv", *scitail)
    write(raw / "SciTailV1.1/tsv_format/scitail_1.0_dev.tsv", 'a "b\tc\tneutral')
    prepare(str(raw), str(out))
    sizes = {path.stem: len(rows(path)) for path in out.iterdir() if "train" in path.stem}
    assert sizes == {
        **{"snli_train": 1500, "snli_10pct_train": 150, "snli_1pct_train": 15},
        **{"snli_0p1pct_train": 1, "scitail_train": 1200, "scitail_10pct_train": 120},
        **{"scitail_1pct_train": 12, "scitail_0p1pct_train": 1},
    }
    assert rows(out / "snli_train.tsv")[1] == ["1.jpg#0r1e", "neutral", "p 1", "h 1"]
    part = Counter(row[1] for row in rows(out / "scitail_1pct_train.tsv"))
    assert part == {"entails": 8, "neutral": 4}
    assert rows(out / "scitail_dev.tsv") == [["0", "neutral", 'a "b', "c"]]
    for split, count in (("dev", 6), ("test", 3)):
        whole = rows(out / f"snli_{split}.tsv")
        assert len(whole) == count
        assert all(
            rows(out / f"snli_{part}_{split}.tsv") == whole for part in filter(None, PER_MILLE)
        )
    printed = capsys.readouterr().out
    assert printed.count("snli_1.0_train.jsonl:1501: no gold label") == 1
    assert "snli skipped 3 lines" in printed
    assert "snli_1pct train: 15 of 1500 pairs: 5 entailment, 5 neutral, 5 contradiction" in printed
    assert f"scitail test: no file {raw}/SciTailV1.1/tsv_format/scitail_1.0_test.tsv" in printed


def sample(raw: Path) -> None:
    lines = [f"p {i}\th {i}\t{LABELS[i % 3]}" for i in range(1000)]
    write(raw / "snli_dev.tsv", "premise\thypothesis\tlabel", *lines)
    write(raw / "snli_test_1k.tsv", "neutral\tp\th", "entailment\tp\tg")


def test_the_sample_of_snli(raw, out, capsys):
    sample(raw)
    prepare(str(raw), str(out), "snli_1pct")
    assert {path.name for path in out.iterdir()} == {"snli_1pct_train.tsv", "snli_1pct_dev.tsv"}
    dev = [["0", "neutral", "p", "h"], ["1", "entailment", "p", "g"]]
    assert rows(out / "snli_1pct_dev.tsv") == dev
    train = rows(out / "snli_1pct_train.tsv")
    assert len(train) == 10
    for uid, label, premise, hypothesis in train:
        expected = LABELS[int(uid) % 3], f"p {uid}", f"h {uid}"
        assert (label, premise, hypothesis) == expected
    assert "train is SNLI's dev set with the label of one annotator" in capsys.readouterr().out


def test_the_download_is_never_mixed_with_the_sample(raw, out, capsys):
    sample(raw)
    write(raw / "snli_1.0/snli_1.0_train.jsonl", snli_line(0, "neutral"))
    prepare(str(raw), str(out), "snli")
    assert {path.name for path in out.iterdir()} == {"snli_train.tsv"}
    assert len(rows(out / "snli_train.tsv")) == 1


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("snli_1.0/snli_1.0_dev.jsonl", "{", r"snli_1\.0_dev\.jsonl:1: not a line of SNLI"),
        ("snli_1.0/snli_1.0_dev.jsonl", "{}", r"snli_1\.0_dev\.jsonl:1: not a line of SNLI"),
        (
            "snli_1.0/snli_1.0_dev.jsonl",
            snli_line(0, "neutrl"),
            r"dev\.jsonl:1: .*Did you mean 'neutral'",
        ),
        (
            "snli_test_1k.tsv",
            "neutral\tp",
            r"snli_test_1k\.tsv:1: 2 columns; expected label, premise",
        ),
    ],
)
def test_a_line_of_another_kind_is_refused(raw, out, name, line, message):
    write(raw / name, line)
    with pytest.raises(UserError, match=message):
        prepare(str(raw), str(out), "snli")
    assert not out.exists()


def test_hub_parts_equal_the_downloads(raw, out, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    labels = [*(LABELS[i % 3] for i in range(1200)), "-"]
    whole = {
        "premise": [f"p\t{i}" for i in range(1201)],
        "hypothesis": [f"h {i}" for i in range(1201)],
        "label": [LABELS.index(label) if label in LABELS else -1 for label in labels],
    }
    scitail = {"premise": ["a"], "hypothesis": ["b"], "label": ["entails"]}

    def fake_load(name: str, config: str | None = None, revision: str | None = None):
        columns = {("stanfordnlp/snli", None): whole, ("allenai/scitail", "tsv_format"): scitail}
        split = datasets.Dataset.from_dict(columns[name, config])
        if "snli" in name:
            split = split.cast_column("label", datasets.ClassLabel(names=list(LABELS)))
        return datasets.DatasetDict(train=split, validation=split, test=split)

    monkeypatch.setattr(datasets, "load_dataset", fake_load)
    prepare("hub", str(out), "snli_10pct,snli_1pct,scitail")
    lines = [snli_line(i, label) for i, label in enumerate(labels)]
    write(raw / "snli_1.0/snli_1.0_train.jsonl", *lines)
    prepare(str(raw), str(tmp_path / "files"), "snli_10pct,snli_1pct")
    for name in ("snli_10pct_train.tsv", "snli_1pct_train.tsv"):
        hub, files = rows(out / name), rows(tmp_path / "files" / name)
        assert [row[1:] for row in hub] == [row[1:] for row in files]
    assert len(rows(out / "snli_1pct_dev.tsv")) == 1200
    assert rows(out / "scitail_test.tsv") == [["0", "entails", "a", "b"]]


def test_another_seed_another_part(raw, tmp_path):
    sample(raw)
    for seed in (1, 2):
        prepare(str(raw), str(tmp_path / str(seed)), "snli_1pct", seed=seed)
    first, second = (rows(tmp_path / seed / "snli_1pct_train.tsv") for seed in "12")
    assert first != second


def test_nothing_found_exits_with_2(raw, command):
    raw.mkdir()
    code, printed, err = command(domain_adaptation.main, "--source", raw)
    assert code == 2
    assert f"error: nothing found in {raw}" in err
    assert printed.count("snli skipped") == 1


def test_a_part_is_the_whole_but_for_its_rows():
    tasks = load_tasks(TASK_FILE)
    names = [f"{base}_{part}".rstrip("_") for base in ("snli", "scitail") for part in PER_MILLE]
    assert sorted(tasks) == sorted(names)
    for name, task in tasks.items():
        assert task.labels == tasks[name.partition("_")[0]].labels
        assert task.head_name == name


@pytest.mark.parametrize("name", ["bert", "minilm"])
def test_run_config_parses(name):
    path = TASK_FILE.with_name(f"{name}.yml")
    config = parse_config(["--config", str(path)])
    assert set(config.data.use) <= set(load_tasks(TASK_FILE))
    assert path.read_text().startswith("# ")
