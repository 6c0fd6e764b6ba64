"""Imports run one way, and what --help needs is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from mt_dnn.cli import COMMANDS

ROOT = Path(__file__).parents[2]
PACKAGES = ("data_utils", "mt_dnn", "experiments", "tests")
FORBIDDEN = {
    "data_utils": {"mt_dnn", "experiments", "tests"},
    "mt_dnn": {"experiments", "tests"},
    "experiments": {"tests"},
}
# A module may import those above it, and none below it or beside it. It stands where the longest
# of the names that hold it stands: mt_dnn.config.run by itself, mt_dnn.config.bounds with its folder.
ORDER = [
    ["data_utils.errors"],
    ["data_utils.registry", "data_utils.files"],
    ["data_utils.registries"],
    ["data_utils.task_def"],
    ["data_utils.formats", "data_utils.metrics"],
    ["data_utils.sources", "data_utils.task_file"],
    ["data_utils.soft_labels"],
    ["data_utils.store"],
    ["data_utils.mixing", "data_utils.collator", "data_utils.strata"],
    ["data_utils.sampler"],
    ["data_utils.loader"],
    ["mt_dnn.registries"],
    ["mt_dnn.config.smart", "mt_dnn.config.run_format"],
    ["mt_dnn.config.run"],
    ["mt_dnn.config"],
    ["mt_dnn.divergences", "mt_dnn.randomness", "mt_dnn.devices"],
    ["mt_dnn.encoders.nezha"],
    ["mt_dnn.encoders.pretrained"],
    ["mt_dnn.encoders"],
    ["mt_dnn.heads.output"],
    ["mt_dnn.heads.san"],
    ["mt_dnn.heads"],
    ["mt_dnn.task_types"],
    ["mt_dnn.model"],
    ["mt_dnn.objective"],
    ["mt_dnn.runs"],
    ["mt_dnn.inference"],
    ["mt_dnn.tracking"],
    ["mt_dnn.reports"],
    ["mt_dnn.training", "mt_dnn.robustness"],
    ["mt_dnn.publish", "mt_dnn.from_mt_dnn", "mt_dnn.tables", "mt_dnn.new_task"],
    ["mt_dnn.cli", "mt_dnn.listing", "mt_dnn.launch"],
    ["mt_dnn.__main__"],
]
LEVELS = {name: level for level, names in enumerate(ORDER) for name in names}
KNOW_NO_MODEL = [
    *(
        f"mt_dnn.objective.{name}"
        for name in ("smoothness", "smoothness_stats", "proximal", "norm_ball", "distillation")
    ),
    "mt_dnn.divergences",
]
CLIS = [
    *(["train.py"], ["prepro.py"], ["predict.py"], ["mt_dnn.cli"]),
    *(["mt_dnn.cli", name] for name in COMMANDS),
]
HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "sklearn",
    "scipy",
    "accelerate",
    "pyarrow",
    "seqeval",
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {
    module_name(path): path
    for package in FORBIDDEN
    for path in sorted((ROOT / package).rglob("*.py"))
}


class WithoutTypes(ast.NodeTransformer):
    """Drops what runs for type checkers alone."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test) == "TYPE_CHECKING" else node


def imports_of(path: Path) -> set[str]:
    """Every module of ours that the file imports, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(WithoutTypes().visit(ast.parse(path.read_text(encoding="utf-8")))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found.update(name if name in PATHS else str(node.module) for name in names)
    return {name for name in found if name.split(".")[0] in PACKAGES}


IMPORTS = {module: imports_of(path) for module, path in PATHS.items()}


def inside(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_packages_depend_one_way(package):
    backwards = {
        f"{module} imports {name}"
        for module, names in IMPORTS.items()
        for name in names
        if inside(module, package) and name.split(".")[0] in FORBIDDEN[package]
    }
    assert any(inside(module, package) for module in IMPORTS)
    assert not backwards


def place(module: str) -> str | None:
    """The longest name of ORDER that holds the module."""
    return max((name for name in LEVELS if inside(module, name)), key=len, default=None)


def test_modules_depend_in_the_stated_order():
    for name in LEVELS:
        assert any(inside(module, name) for module in IMPORTS), f"{name} is gone: mend ORDER"
    backwards = {
        f"{module} imports {name}"
        for module, names in IMPORTS.items()
        for name in names
        if (here := place(module)) and (there := place(name))
        if here != there and LEVELS[there] >= LEVELS[here]
    }
    assert not backwards


def test_every_module_of_mt_dnn_has_a_place_in_the_order():
    assert not [name for name in IMPORTS if name.startswith("mt_dnn.") and not place(name)]


def test_no_imports_run_in_a_circle():
    def ours(module: str) -> set[str]:
        return {name for name in IMPORTS[module] if name in IMPORTS and name != module}

    reachable = {module: ours(module) for module in IMPORTS}
    while True:
        wider = {
            module: names.union(*(reachable[name] for name in names))
            for module, names in reachable.items()
        }
        if wider == reachable:
            break
        reachable = wider
    assert not {module for module, names in reachable.items() if module in names}


@pytest.mark.parametrize("module", KNOW_NO_MODEL)
def test_the_mathematics_knows_no_task_and_no_model(module):
    known = (
        *("mt_dnn.config.smart", "mt_dnn.config.run"),
        *("mt_dnn.objective.norm_ball", "mt_dnn.objective.smoothness_stats", "mt_dnn.randomness"),
        *("data_utils.errors", "data_utils.registry"),
    )
    others = {
        name for name in IMPORTS[module] if not any(inside(name, allowed) for allowed in known)
    }
    assert not others


def loaded_by(code: str) -> set[str]:
    """Top-level packages that ``code`` imports in a fresh interpreter."""
    before = "import sys\nbefore = set(sys.modules)\n"  # site-packages' own .pth files import some
    after = "\nprint('modules', *(set(sys.modules) - before))"
    result = subprocess.run(
        [sys.executable, "-c", before + code + after],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in result.stdout.splitlines() if line.startswith("modules "))
    return {name.split(".")[0] for name in line.split()[1:]}


def test_light_modules_load_no_torch():
    modules = (
        *("data_utils.registries", "data_utils.task_def", "data_utils.metrics", "data_utils.cli"),
        *(
            "mt_dnn",
            "mt_dnn.registries",
            "mt_dnn.config.presets",
            "mt_dnn.config.run",
            "mt_dnn.config.parser",
        ),
        *("mt_dnn.tracking.console", "mt_dnn.tracking.progress", "mt_dnn.tracking.trackers"),
    )
    loaded = loaded_by("import " + ", ".join(modules))
    assert "mt_dnn" in loaded
    assert not loaded & set(HEAVY)


def loaded_by_help(cli: list[str]) -> set[str]:
    """Top-level packages that the command line imports to answer ``--help``."""
    return loaded_by(
        "import runpy\n"
        f"name, *args = {cli!r}\n"
        "sys.argv = [name, *args, '--help']\n"
        "run = runpy.run_path if name.endswith('.py') else runpy.run_module\n"
        "try: run(name, run_name='__main__', **({} if name.endswith('.py') else {'alter_sys': True}))\n"
        "except SystemExit as stop: assert not stop.code, stop.code"
    )


@pytest.mark.parametrize("cli", CLIS, ids=" ".join)
def test_help_loads_no_torch(cli):
    loaded = loaded_by_help(cli)
    assert loaded & {"mt_dnn", "argparse"}
    assert not loaded & set(HEAVY)


def test_help_of_the_whole_command_loads_the_standard_library_alone():
    loaded = loaded_by_help(["mt_dnn.cli"])
    assert "data_utils" in loaded
    assert loaded - sys.stdlib_module_names == {"data_utils", "mt_dnn"}
    assert "argparse" not in loaded


def test_torch_would_be_noticed():
    assert "torch" in loaded_by("import mt_dnn.objective.norm_ball")
