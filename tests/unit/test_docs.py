"""The documents' tables list what is registered, and their links lead somewhere."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from data_utils.registries import FORMATS, METRICS, MIXINGS
from data_utils.task_def import SourceDef
from data_utils.task_entry import KEYS
from mt_dnn.config.presets import PRESETS
from mt_dnn.config.run import RunConfig
from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.objective.smoothness import SmoothnessStats
from mt_dnn.registries import CHALLENGES, PERTURBATIONS, TASK_TYPES
from mt_dnn.tables import file as table_file
from tests.support.documents import (
    DOCUMENTS,
    PAGES,
    README,
    ROOT,
    anchors,
    name_of,
    named,
    parse_command,
    quoted,
    table,
)

DOCS = ROOT / "docs"
GENERAL = {"--help", "--print_shtab"}
TASK_FILE = DOCS / "task-file.md"


@pytest.mark.parametrize(
    ("page", "header", "names"),
    [
        ("task-file.md", "`data_format`", FORMATS.names()),
        ("task-file.md", "`task_type`", TASK_TYPES.names()),
        ("task-file.md", "key", [*KEYS, "extends"]),
        ("task-file.md", "key of `source`", [field.name for field in fields(SourceDef)]),
        ("metrics.md", "metric", METRICS.names()),
        ("mixing.md", "`mixing.name`", MIXINGS.names()),
        ("smart.md", "preset", list(PRESETS)),
        ("robustness.md", "perturbation", PERTURBATIONS.names()),
        ("robustness.md", "kind", CHALLENGES.names()),
        ("train.md", "section", list(RunConfig.__dataclass_fields__)),
        ("tables.md", "key", list(table_file.KEYS)),
    ],
)
def test_a_table_lists_every_choice_and_nothing_else(page, header, names):
    assert sorted(named(DOCS / page, header)) == sorted(names)


def test_the_columns_of_a_format_are_in_their_order():
    for cells in table(TASK_FILE, "`data_format`"):
        (name,) = quoted(cells[0])
        shown = re.sub(r"\(.*?\)|;.*| 1 \.\. N|`.*?`", "", cells[1]).replace(" ", "").split(",")
        assert shown == [column.rstrip("*") for column in FORMATS.get(name).columns]


def test_the_options_have_their_defaults():
    owners = {name: FORMATS.get(name).options for name in FORMATS.names()}
    owners |= {name: TASK_TYPES.get(name).options for name in TASK_TYPES.names()}
    found = {
        (option, owner, str(default).lower())
        for owner, options in owners.items()
        for option, default in options.items()
    }
    shown = {
        (option, owner, cells[2])
        for cells in table(TASK_FILE, "option")
        for option in quoted(cells[0])
        for owner in quoted(cells[1])
    }
    assert shown == found


def test_a_metric_is_shown_with_its_undefined_value():
    words = {"infinity": float("inf"), "empty": ()}
    for cells in table(DOCS / "metrics.md", "metric"):
        for name in quoted(cells[0]):
            value = words[cells[-1]] if cells[-1] in words else float(cells[-1])
            assert METRICS.get(name).undefined == value, name
            assert ("lower is better" in cells[1]) != METRICS.get(name).greater_is_better, name


def test_the_presets_have_their_values():
    rows = {
        cells[0].strip("`"): cells[1:]
        for cells in table(DOCS / "smart.md", "field")
        if len(cells) == len(PRESETS)
    }
    assert set(rows) == {f"smoothness.{f.name}" for f in fields(SmoothnessConfig)} | {
        "proximal.weight"
    }
    presets = [pair for name, pair in PRESETS.items() if name != "off"]
    for name, shown in rows.items():
        section, key = name.split(".")
        for (smoothness, proximal), text in zip(presets, shown, strict=True):
            value = getattr(smoothness if section == "smoothness" else proximal, key)
            shown_as = {"step_size": "100 epsilon", "sigma": "epsilon", "divergence": "own"}
            if isinstance(value, int | float):
                assert float(text) == value, name
            else:
                assert text == (shown_as.get(key, "null") if value is None else value), name


def test_smarts_health_is_described():
    shown = set(named(DOCS / "smart.md", "tag"))
    health = {f"smart/<task>/{name}" for name in SmoothnessStats._fields if name != "loss"}
    gradients = {f"smart/<task>/{name}" for name in ("rho", "rho_proximal", "lambda_s")}
    assert shown == health | gradients | {"smart/distance"}


@pytest.mark.parametrize(
    ("page", "header", "line"),
    [
        ("predict.md", "flag", "mt-dnn predict --run r"),
        ("tables.md", "option", "mt-dnn table t.yml"),
        ("first-task.md", "option", "mt-dnn new-task rows.csv --encoder e"),
        ("details.md", "flag", "mt-dnn compare runs/demo"),
        ("robustness.md", "option", "mt-dnn robustness runs/demo"),
    ],
)
def test_a_table_of_options_is_complete(page, header, line, monkeypatch):
    parsed = parse_command(line, monkeypatch)
    assert parsed is not None
    flags = {flag for action in parsed.parser._actions for flag in action.option_strings}
    shown = {flag.split()[0] for flag in named(DOCS / page, header)}
    assert shown == {flag for flag in flags if flag.startswith("--")} - GENERAL


def test_every_place_in_contributing_exists():
    for cells in table(ROOT / "CONTRIBUTING.md", "place"):
        folder = ROOT
        for name in quoted(cells[0]):
            path = next(
                (base / name for base in (ROOT, folder, folder.parent) if (base / name).exists()),
                None,
            )
            assert path is not None, name
            folder = path if path.is_dir() else path.parent


def test_the_index_lists_every_page():
    pages = {str(page.relative_to(DOCS)) for page in PAGES} - {"index.md"}
    shown = re.findall(r"^\| \[(.*?\.md)\]", (DOCS / "index.md").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(pages)


def test_the_suites_are_all_listed():
    shown = {re.findall(r"\[(\w+)\]", cells[0])[0] for cells in table(DOCS / "suites.md", "suite")}
    assert shown == {path.parent.name for path in (ROOT / "experiments").glob("*/README.md")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document):
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def test_pictures_are_small_and_have_a_text():
    for path in (DOCS / "images").iterdir():
        assert path.stat().st_size < 200_000, path
    for document in DOCUMENTS:
        for text in re.findall(r"!\[(.*?)\]", document.read_text(encoding="utf-8")):
            assert len(text) > 20, name_of(document)


def test_the_readme_has_at_most_700_words():
    assert len(README.read_text(encoding="utf-8").split()) <= 700
