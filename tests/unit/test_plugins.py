"""Importing the user's modules, and settings that name what they register."""

from __future__ import annotations

import math
import sys

import pytest
import torch

from data_utils.errors import UserError
from data_utils.plugins import import_plugins
from mt_dnn import listing
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.options import declared_options, parse_options
from mt_dnn.config.parser import parse_config
from mt_dnn.config.run import MixingConfig, OptimConfig, RunConfig
from mt_dnn.objective.objective import Objective
from mt_dnn.objective.supervised import SupervisedTerm
from mt_dnn.registries import COMBINATIONS, LOSS_TERMS
from tests.support.batches import make_batch
from tests.support.documents import ROOT, blocks
from tests.support.tasks import make_kind
from tests.support.three_tasks import make_model, task_batch


@pytest.fixture
def folder(tmp_path, monkeypatch, registries):
    """An empty current folder; the modules imported from it are forgotten after the test."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


FIRST_ONLY = '''
from data_utils.registries import MIXINGS

@MIXINGS.register("first_only")
def first_only(supply, *, share: float = 1.0, keep: int):
    """Train the first task alone."""
    return {task: supply.batches[task] if i == 0 else 0 for i, task in enumerate(supply.batches)}
'''


def test_a_module_of_the_current_folder_is_imported_once(folder):
    (folder / "mine.py").write_text("import neighbour\nprint('imported')\n")
    (folder / "neighbour.py").write_text("")
    import_plugins(["mine", "mine"])
    assert {"mine", "neighbour"} <= set(sys.modules)
    assert sys.path[0] != str(folder)
    assert sys.path[-1] == str(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0\n", r"plugins: importing mine failed at .*mine\.py:1: ZeroDivisionError: "),
        (
            "import no_such\n",
            r"importing mine failed at .*mine\.py:1: ModuleNotFoundError: .*no_such",
        ),
        ("def f(:\n", r"importing mine failed at .*mine\.py:1: SyntaxError"),
        (
            "from data_utils.registries import METRICS\nMETRICS.register('ACC')(lambda r: 1)\n",
            r"importing mine failed at .*: ValueError: metric 'ACC' is already registered, by data_",
        ),
    ],
)
def test_a_fault_in_a_plugin_is_one_message_with_its_line(folder, text, message):
    (folder / "mine.py").write_text(text)
    with pytest.raises(UserError, match=message):
        import_plugins(["mine"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_plugin", "there is no module 'no_such_plugin' in .* or among the installed"),
        ("mine.py", "'mine.py' is not the name of a Python module; write mine"),
        ("my plugin", "'my plugin' is not the name of a Python module"),
    ],
)
def test_a_module_that_does_not_exist(folder, name, message):
    with pytest.raises(UserError, match=f"--plugins: {message}"):
        import_plugins([name], "--plugins")


def test_the_command_line_knows_what_a_plugin_registers(folder, capsys):
    (folder / "mine.py").write_text(FIRST_ONLY)
    args = ["--mixing.name", "first_only", "--mixing.options.keep", "3"]
    config = parse_config(["--plugins", "mine", *args])
    assert config.plugins == ("mine",)
    assert config.mixing.options == {"keep": 3}
    listing.main(["mixing"])
    shown = capsys.readouterr().out
    assert "first_only    Train the first task alone." in shown
    assert "options: share=1.0, keep=Ellipsis" in shown
    assert "from: mine:first_only" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 1, "shar": 1}, r"first_only has no option 'shar'\. Did you mean 'share'\?"),
        ({}, "first_only needs the option 'keep'"),
        ({"keep": "many"}, "mixing.options: keep: .*many"),
        ({"keep": 1, "share": "half"}, "mixing.options: share: .*half"),
    ],
)
def test_options_are_checked_against_the_parameters(folder, options, message):
    (folder / "mine.py").write_text(FIRST_ONLY)
    mixing = MixingConfig(name="first_only", options=options)
    with pytest.raises(UserError, match=message):
        resolve_config(RunConfig(plugins=("mine",), mixing=mixing))


def test_a_whole_number_is_a_float_where_one_is_declared(folder):
    (folder / "mine.py").write_text(FIRST_ONLY)
    mixing = MixingConfig(name="first_only", options={"keep": 1, "share": 1})
    resolved = resolve_config(RunConfig(plugins=("mine",), mixing=mixing))
    assert type(resolved.mixing.options["share"]) is float


def test_options_of_a_class_are_those_of_its_constructor():
    class Term:
        def __init__(self, model, *, power: float = 2.0, name: str | None = None) -> None: ...

    assert list(declared_options(Term)) == ["power", "name"]
    given = {"power": 3, "name": "a"}
    assert parse_options(Term, given, name="term", where="terms") == {"power": 3.0, "name": "a"}


@pytest.mark.parametrize(
    ("yaml_text", "message"),
    [
        ("mixing:\n  name: unifrm\n", "run.yml:2: mixing.name: unknown mixing strategy 'unifrm'."),
        ("optim: {name: adam}\n", "run.yml:1: optim.name: unknown optimizer 'adam'. Did you mean"),
        ("\noptim: {schedule: cos}\n", "run.yml:2: optim.schedule: unknown schedule 'cos'."),
        ("optim: {combine: pcgrd}\n", "run.yml:1: optim.combine: unknown gradient combination"),
        ("smart: smrt\n", "run.yml:1: smart: unknown preset 'smrt'. Did you mean 'smart'?"),
        ("smoothness: {divergence: kll}\n", "smoothness.divergence: unknown divergence 'kll'. Did"),
        ("plugins: [nothing_here]\n", "run.yml:1: plugins: there is no module 'nothing_here'"),
        ("terms: [{name: l3}]\n", "run.yml:1: terms: unknown loss term 'l3'"),
        ("optim: {options: {momentum: 1}}\n", "adamw has no option 'momentum'. It has no options."),
        ("optim: {name: sgd, options: {momentm: 1}}\n", "Did you mean 'momentum'?"),
    ],
)
def test_an_unknown_name_in_a_run_file_names_file_line_and_choices(
    folder, capsys, yaml_text, message
):
    (folder / "run.yml").write_text(yaml_text)
    with pytest.raises(SystemExit) as stopped:
        parse_config(["--config", "run.yml"])
    assert stopped.value.code == 2
    assert f"{message}" in capsys.readouterr().err


def test_an_unknown_name_in_a_flag_names_the_flag(folder, capsys):
    (folder / "run.yml").write_text("optim: {name: adamax}\n")
    with pytest.raises(SystemExit):
        parse_config(["--config", "run.yml", "--optim.name", "adamx"])
    assert "error: --optim.name: unknown optimizer 'adamx'." in capsys.readouterr().err


def test_an_alias_becomes_the_registered_name():
    config = parse_config(["--smoothness.divergence", "JSCriterion"])
    assert config.smoothness.divergence == "js"


def test_dotted_options_and_appended_terms_are_read(folder):
    args = ["--optim.name", "sgd", "--optim.options.momentum", "0.9"]
    assert parse_config(args).optim == OptimConfig(name="sgd", options={"momentum": 0.9})
    with pytest.raises(SystemExit):  # no such term, but it was read as one
        parse_config(["--terms+", '{"name": "l2_sp", "weight": 0.5}'])


def exec_block(text: str) -> None:
    """Execute the code block of docs/plugins.md that contains ``text``."""
    (block,) = [own for own in blocks(ROOT / "docs" / "plugins.md", "python") if text in own]
    exec(compile(block, "plugins.md", "exec"), {"__name__": "documented"})


def test_the_uncertainty_weighting_of_the_documentation(registries):
    """F = e^-s L + s/2, dF/ds = 1/2 - e^-s L; the parameter is s / speed."""
    exec_block("class Uncertainty")
    model = make_model(dropout=False)
    term = LOSS_TERMS.get("uncertainty")(model, speed=10.0)
    objective = Objective(model, [SupervisedTerm(), term])
    with torch.no_grad():
        term.slow_s.copy_(torch.tensor([0.0, 0.05, -0.03]))
    for index, (task, s) in enumerate({"c": 0.0, "r": 0.5, "k": -0.3}.items()):
        term.slow_s.grad = None
        loss = objective(task_batch(task), seed=1)
        supervised = loss.values["loss"].item()
        assert loss.total.item() == pytest.approx(math.exp(-s) * supervised + s / 2, rel=1e-5)
        assert loss.figures[f"uncertainty/{task}/weight"].item() == pytest.approx(math.exp(-s))
        loss.total.backward()
        expected = [0.0, 0.0, 0.0]
        expected[index] = 10 * (0.5 - math.exp(-s) * supervised)
        assert term.slow_s.grad.tolist() == pytest.approx(expected, rel=1e-4)


def test_the_torchjd_combination_of_the_documentation(registries):
    exec_block("class DualProj")
    assert COMBINATIONS.get("dual_proj").is_mean


def test_the_focal_loss_of_the_documentation(registries):
    exec_block("class Focal")
    batch = make_batch([4, 4, 4], labels=torch.tensor([0, 2, 1]))
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 3.0], [0.5, 0.0, -1.0]])
    losses = {}
    for gamma in (0.0, 2.0):
        kind = make_kind("FocalClassification", n_class=3, options={"gamma": gamma})
        losses[gamma] = kind.loss(logits, batch).item()
    p = [math.exp(x) for x in (-0.239545, -0.169846, -1.104131)]
    assert losses[0.0] == pytest.approx(-sum(map(math.log, p)) / 3, rel=1e-4)
    assert losses[2.0] == pytest.approx(-sum((1 - q) ** 2 * math.log(q) for q in p) / 3, rel=1e-4)
