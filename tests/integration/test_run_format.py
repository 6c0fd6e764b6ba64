"""Runs without a format version load and resume; runs of a newer format are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

import mt_dnn
import predict
import train
from data_utils.errors import UserError
from mt_dnn.config.run_format import FORMAT, MARKER, check_run, read_versioned
from mt_dnn.publish import average, export
from mt_dnn.tables.definition import Repeat
from mt_dnn.tables.plan import PlannedRun
from mt_dnn.tables.results import read_run
from mt_dnn.tracking.tensorboard import TensorBoard
from mt_dnn.training.trainer import Trainer
from tests.conftest import TinyConfig
from tests.support.runs import assert_same_weights, run

pytestmark = pytest.mark.usefixtures("no_pictures")

STEPS: dict[str, Any] = {"max_steps": 4, "eval_every": 2, "save_every": 2, "keep": 2}
NEWER = FORMAT + 1
NEW_IN_STATE = ("run", "files", "fingerprint", "total", "owes_evaluation", "logs")
"""What state.json of older versions lacks."""
PAIR = ("a dog in the garden", "the cat is asleep")


@pytest.fixture(scope="module")
def whole(
    config_in: Callable[[Path], TinyConfig], tmp_path_factory: pytest.TempPathFactory
) -> Trainer:
    """A finished run with two checkpoints; to be copied."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TensorBoard, "takes_images", False)
        config = config_in(tmp_path_factory.mktemp("whole"))
        return run(config(name="whole", smart="smart", train=STEPS))


@pytest.fixture
def copy(whole: Trainer, tmp_path: Path) -> Path:
    """A copy of the finished run, where ``tiny_config(name="copy")`` has its folder."""
    folder = tmp_path / "runs" / "copy"
    shutil.copytree(whole.run_dir, folder)
    config = (folder / "config.yml").read_text()
    config = config.replace(str(whole.run_dir.parent), str(folder.parent))
    (folder / "config.yml").write_text(config.replace("name: whole", "name: copy"))
    return folder


def versioned_files(run_dir: Path) -> list[Path]:
    checkpoints = sorted(run_dir.glob("checkpoints/*/state.json"))
    assert checkpoints
    return [run_dir / MARKER, run_dir / "best" / "mt_dnn.json", *checkpoints]


def set_format(path: Path, version: int | None) -> None:
    """Write the version in a file of a run; None removes it."""
    values = json.loads(path.read_text())
    assert values.pop("format") == FORMAT
    if version is None:
        for key in NEW_IN_STATE:
            values.pop(key, None)
    path.write_text(json.dumps(values if version is None else {"format": version} | values))


def make_old(run_dir: Path) -> None:
    """Turn a run into one of the first format: no version anywhere, the teacher in its own file."""
    marker, *others = versioned_files(run_dir)
    marker.unlink()
    for path in others:
        set_format(path, None)
    for path in run_dir.glob("checkpoints/*/checksums.json"):
        path.unlink()
    for path in run_dir.glob("checkpoints/*/terms.safetensors"):
        tensors = load_file(path)
        path.unlink()
        teacher = {name.removeprefix("proximal."): t for name, t in tensors.items()}
        assert len(teacher) == len(tensors) > 0
        save_file(teacher, path.with_name("teacher.safetensors"))


def test_every_run_has_its_version(whole):
    marker = json.loads((whole.run_dir / MARKER).read_text())
    assert marker.keys() == {"format", "numerics", "mt_dnn", "id"}
    for path in versioned_files(whole.run_dir):
        assert json.loads(path.read_text())["format"] == FORMAT


def test_an_old_run_predicts_the_same(copy):
    answers = mt_dnn.load(copy).predict("pair", [PAIR])
    make_old(copy)
    assert mt_dnn.load(copy).predict("pair", [PAIR]) == answers
    assert mt_dnn.load(copy / "best").predict("pair", [PAIR]) == answers


def test_an_old_run_resumes_to_the_same_end(copy, tiny_config, whole, capsys):
    make_old(copy)
    shutil.rmtree(copy / "checkpoints" / "step-00000004")
    resumed = Trainer(tiny_config(name="copy", smart="smart", train=STEPS, resume=True))
    assert resumed.step == 2
    resumed.fit()
    assert_same_weights(resumed.model.state_dict(), whole.model.state_dict())
    metrics = [trainer.run_dir / "metrics.jsonl" for trainer in (resumed, whole)]
    assert metrics[0].read_bytes() == metrics[1].read_bytes()
    marker = json.loads((copy / MARKER).read_text())
    assert (marker["format"], marker["numerics"], "id" in marker) == (FORMAT, 1, False)
    assert "computes other numbers (numerics 1, now" in capsys.readouterr().out


def test_an_old_run_is_averaged_exported_and_started_from(copy, tiny_config, tmp_path):
    make_old(copy)
    names = average.average([str(copy)], str(tmp_path / "soup"), checkpoints=True)
    assert [Path(name).name for name in names] == ["step-00000002", "step-00000004"]
    export.export(str(copy), str(tmp_path / "encoder"))
    Trainer(tiny_config(name="second", model={"init_from": str(copy)}))


def assert_refused(result: tuple[int, str, str], folder: Path, version: int = NEWER) -> None:
    code, _, message = result
    assert code == 2
    assert message == (
        f"error: {folder} has run format {version}, and this version of mt-dnn reads formats up to "
        f"{FORMAT}: install a newer mt-dnn, or train a new run with this one\n"
    )


def test_train_does_not_resume_a_newer_run(copy, command):
    set_format(copy / MARKER, NEWER)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    own = copy / "config.yml"
    assert_refused(command(train.main, "--config", own, "--resume", "true"), copy)
    other = copy.parent / "run.yml"  # found when the run's folder is opened
    other.write_text(own.read_text())
    assert_refused(command(train.main, "--config", other, "--resume", "true"), copy)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_setting_of_a_newer_run_is_not_taken_for_a_typo(copy, command):
    set_format(copy / MARKER, NEWER)
    with (copy / "config.yml").open("a") as stream:
        stream.write("later: {setting: 1}\n")
    assert_refused(command(train.main, "--config", copy / "config.yml", "--resume", "true"), copy)


def test_train_does_not_resume_from_a_newer_checkpoint(copy, command):
    newest = copy / "checkpoints" / "step-00000004"
    set_format(newest / "state.json", NEWER)
    assert_refused(command(train.main, "--config", copy / "config.yml", "--resume", "true"), newest)


def test_a_newer_run_is_not_replaced_unasked(copy, tiny_config):
    set_format(copy / MARKER, NEWER)
    (copy / "config.yml").unlink()  # which a newer format may do without
    with pytest.raises(UserError, match="holds a run already"):
        Trainer(tiny_config(name="copy"))


@pytest.mark.parametrize("part", ["the run", "its model"])
def test_nothing_reads_a_newer_run(part, copy, command, tiny_config, tmp_path):
    folder = copy if part == "the run" else copy / "best"
    set_format(copy / MARKER if part == "the run" else folder / "mt_dnn.json", NEWER)
    out = tmp_path / "out"
    rows = tmp_path / "rows.tsv"
    rows.write_text("\t".join(PAIR) + "\n")
    assert_refused(command(predict.main, "--run", copy, "--task", "pair", "--input", rows), folder)
    assert_refused(command(export.main, "--run", copy, "--out", out), folder)
    assert_refused(command(average.main, "--run", copy, copy, "--out", out), folder)
    assert_refused(command(average.main, "--run", copy, "--checkpoints", "--out", out), folder)
    settings = tmp_path / "run.yml"
    text = (copy / "config.yml").read_text().replace("name: copy", "name: second")
    settings.write_text(text.replace("init_from: null", f"init_from: {copy}"))
    assert_refused(command(train.main, "--config", settings), folder)
    with pytest.raises(UserError, match=f"format {NEWER}"):
        mt_dnn.load(copy)
    assert not out.exists()
    assert not (copy.parent / "second").exists()


def test_a_table_does_not_read_or_replace_a_newer_run(copy):
    set_format(copy / MARKER, NEWER)
    planned = PlannedRun(row="a", use=(), repeat=Repeat(1), config={}, identity={}, name="copy")
    with pytest.raises(UserError, match=f"format {NEWER}"):
        read_run(planned, copy)


def test_a_file_without_a_version_is_of_the_first_format(tmp_path):
    path = tmp_path / MARKER
    check_run(tmp_path)
    path.write_text('{"step": 3}')
    assert read_versioned(path) == {"step": 3}
    path.write_text(json.dumps({"format": FORMAT, "step": 3}))
    assert read_versioned(path) == {"step": 3}


@pytest.mark.parametrize(
    "text",
    ['{"format": 2', "[2]", "2", '{"format": "2"}', '{"format": true}', '{"format": 0}', "\xff"],
)
def test_a_damaged_file_is_named(text, tmp_path):
    path = tmp_path / MARKER
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"run\.json is damaged: expected a JSON object"):
        check_run(tmp_path)
