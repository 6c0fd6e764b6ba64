"""The wheel, built and installed offline, used in a folder of the user's own outside the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests.support.encoders import tiny_encoder_folder

ROOT = Path(__file__).parents[2]
RUN = """\
name: mood
data: {tasks: tasks.yml, data_dir: rows, max_seq_len: 16}
model: {encoder: ./tiny}
batch: {size: 4}
train: {epochs: 1}
system: {device: cpu}
"""
TASKS = """\
mood:
  data_format: PremiseOnly
  task_type: Classification
  labels: [negative, positive]
  metric_meta: [ACC]
"""
TABLE = """\
title: tiny
base: run.yml
sizes: {trackers: [], train.report: false}
seeds: [1]
columns:
  mood.ACC: {use: [mood]}
rows:
  baseline: {}
"""
ROWS = (
    "a\tpositive\tgood film\nb\tnegative\tbad film\nc\tpositive\tgood day\nd\tnegative\tbad war\n"
)


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel and sdist of a copy of this checkout, because setuptools builds in the source folder."""
    folder = tmp_path_factory.mktemp("build")
    copy, out = folder / "checkout", folder / "dist"
    copy.mkdir()
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
        elif (path / "__init__.py").exists():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, copy / path.name, ignore=ignore)
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    output([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", out, copy], folder)
    code = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    output([sys.executable, "-c", code, out], copy)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def home(distributions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the user's with data, a tiny encoder, and the wheel installed in venv/.

    It has packages named as ours, as a checkout of the original MT-DNN does.
    """
    folder = tmp_path_factory.mktemp("home")
    identity = ["-c", "user.name=user", "-c", "user.email=user@example.org"]
    output(["git", "init", "--quiet"], folder)
    output(["git", *identity, "commit", "--quiet", "--allow-empty", "-m", "mine"], folder)
    venv.create(folder / "venv", symlinks=True)
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    python = folder / "venv/bin/python"
    output(
        [sys.executable, "-m", "pip", "--python", python, "install", *options, distributions[0]],
        folder,
    )
    # Only now the packages that it depends on: a checkout may be installed beside them.
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    tiny_encoder_folder(folder / "tiny")
    for package in ("mt_dnn", "data_utils"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text("raise SystemExit('imported')\n")
    (folder / "rows").mkdir()
    for split in ("train", "dev"):
        (folder / "rows" / f"mood_{split}.tsv").write_text(ROWS)
    for name, text in (("run.yml", RUN), ("tasks.yml", TASKS), ("table.yml", TABLE)):
        (folder / name).write_text(text)
    return folder


def output(command: list[object], folder: Path, stdin: str = "") -> str:
    """What a command prints on standard output; it must succeed."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(home: Path) -> str:
    """What ``mt-dnn train`` printed."""
    return output(["venv/bin/mt-dnn", "train", "--config", "run.yml"], home)


def test_wheel_and_sdist_hold_the_two_packages_alone(distributions):
    wheel, sdist = distributions
    names = [PurePosixPath(name) for name in zipfile.ZipFile(wheel).namelist()]
    assert {name.parts[0] for name in names} == {"data_utils", "mt_dnn", "mt_dnn-0.1.0.dist-info"}
    with tarfile.open(sdist) as archive:
        packed = [PurePosixPath(*Path(name).parts[1:]) for name in archive.getnames()]
    folders = {name.parts[0] for name in packed if len(name.parts) > 1}
    assert folders == {"data_utils", "mt_dnn", "mt_dnn.egg-info"}
    for package in ("data_utils", "mt_dnn"):
        ours = [path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")]
        for name in map(PurePosixPath, [*ours, f"{package}/py.typed"]):
            assert name in names
            assert name in packed


def test_the_installed_package_is_imported_without_torch(home):
    code = "import sys, mt_dnn, data_utils; print(mt_dnn.__file__, 'torch' in sys.modules)"
    path, torch = output(["venv/bin/python", "-P", "-c", code], home).split()
    assert Path(path).is_relative_to(home / "venv")
    assert torch == "False"


def test_help(home):
    assert "usage: mt-dnn COMMAND" in output(["venv/bin/mt-dnn", "--help"], home)


def test_training_on_the_users_own_rows(home, trained):
    scores = json.loads((home / "runs/mood/scores.json").read_text())
    assert scores["scores"]["mood"].keys() == {"ACC"}
    assert "venv/bin/mt-dnn predict --run runs/mood --task mood --input -" in trained
    environment = json.loads((home / "runs/mood/environment.json").read_text())
    assert environment["command"][:2] == ["mt-dnn", "train"]
    assert environment["commit"] is None  # not that of the user's repository, which venv/ lies in


def test_prediction(home, trained):
    shown = output(["venv/bin/mt-dnn", "predict", "--run", "runs/mood"], home, stdin="good film\n")
    (answer,) = map(json.loads, shown.splitlines())
    assert answer["prediction"] in ("negative", "positive")


def test_a_table_without_a_checkout(home):
    shown = output(["venv/bin/mt-dnn", "table", "table.yml", "--out", "results"], home)
    assert "baseline" in shown
    assert "Made by: mt-dnn table table.yml --out results" in shown.replace("`", "")
    (result,) = (home / "results/results.jsonl").read_text().splitlines()
    release = json.loads(result)["mt_dnn"]
    assert release
    assert f"; mt-dnn {release}, torch" in " ".join(shown.split())  # in place of a commit
    assert json.loads(result)["scores"].keys() == {"mood"}
