"""Command line of a run: flags override the YAML file. Must not import torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NoReturn, get_type_hints

import yaml
from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from data_utils.errors import UserError
from data_utils.flags import fail
from data_utils.strict_yaml import check_size, not_yaml
from data_utils.utf8 import not_utf8
from mt_dnn.config.choices import check_choices
from mt_dnn.config.messages import reworded, unknown_flag
from mt_dnn.config.old_settings import OLD_SETTINGS, upgrade
from mt_dnn.config.run import RunConfig
from mt_dnn.config.run_format import check_run
from mt_dnn.config.shapes import file_problems, flag_problem
from mt_dnn.config.suggestions import similar_settings

RUN_FILE = "config.yml"
"""Name of the file with which a run saves its settings."""


class RunParser(ArgumentParser):
    """An argument parser that reports errors without the long usage text."""

    given: Sequence[str] = ()
    """The arguments that are parsed, to find the line of a setting in a YAML file."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message in the words of the user's settings and exit with code 2."""
        known = dict(settings())
        if unknown := unknown_flag(message):
            message = f"there is no setting {unknown}.{similar_settings(unknown, list(known))}"
        message = reworded(message, known)
        name, colon, rest = message.partition(": ")
        if colon and (name in known or name in _sections()):
            place = _places(self.given).get(name, name)
            message = f"{place}: {rest}" if ":" in place else message
        fail(self.prog, message, "setting")


def run_parser(prog: str, description: str) -> ArgumentParser:
    """Build a parser with a flag for every field of :class:`RunConfig`.

    The help text of a flag is the docstring of its field.

    Args:
        prog: name of the program in usage and error messages.
        description: first paragraph of ``--help``.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = RunParser(prog=prog, description=description, allow_abbrev=False)
    parser.add_argument(
        "--config", action="config", help="YAML file of settings; later flags override it."
    )
    parser.add_class_arguments(RunConfig)
    return parser


def parse_config(
    args: Sequence[str] | None = None, *, prog: str = "mt-dnn train", description: str = ""
) -> RunConfig:
    """Parse the command line of a run, including its YAML files, and import its plugins.

    A list of words may be written without brackets: ``--data.use rte,mrpc``.

    Args:
        args: arguments without the program's name; None takes ``sys.argv[1:]``.
        prog: name of the program in usage and error messages.
        description: first paragraph of ``--help``.

    Returns:
        The configuration, with types and registered names checked;
        :func:`mt_dnn.config.bounds.resolve_config` checks ranges.

    Raises:
        SystemExit: code 2 after printing an error, code 0 after ``--help``.

    Example::

        config = parse_config(["--config", "run.yml", "--optim.lr", "2e-5"])
    """
    return parse_with(run_parser(prog, description), args)[0]


def parse_with(
    parser: ArgumentParser, args: Sequence[str] | None = None
) -> tuple[RunConfig, Namespace]:
    """Parse with a parser from :func:`run_parser` that has additional flags.

    Returns:
        The configuration, and the namespace of all values, which contains the additional flags.

    Raises:
        UserError: a file is the config.yml of a run with a newer format.
    """
    args = list(sys.argv[1:] if args is None else args)
    if isinstance(parser, RunParser):
        parser.given = args
    for path in _config_files(args):
        if path.name == RUN_FILE:  # a newer format may have settings unknown here
            check_run(path.parent)
    _check_config_keys(parser, args)
    if message := flag_problem(args):
        parser.error(message)
    values = parser.instantiate(parser.parse_args(_bracket_lists(_upgraded(args))))
    fields = {name: getattr(values, name) for name in RunConfig.__dataclass_fields__}
    places = _places(args)
    try:
        config = check_choices(RunConfig(**fields), where=lambda name: places.get(name, name))
    except UserError as error:
        parser.error(str(error))
    return config, values


def _upgraded(args: Sequence[str]) -> list[str]:
    """Replace a run's config.yml that has old settings by its text with today's settings."""
    texts = {}
    for path in _config_files(args):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name == RUN_FILE and isinstance(values, dict) and upgrade(values) != values:
            texts[path] = yaml.safe_dump(upgrade(values), sort_keys=False)
    result = []
    for before, arg in pairwise(["", *args]):
        flag, equals, value = arg.partition("=")
        if flag == "--config" and equals and Path(value) in texts:
            arg = f"--config={texts[Path(value)]}"
        elif before == "--config" and Path(arg) in texts:
            arg = texts[Path(arg)]
        result.append(arg)
    return result


def _places(args: Sequence[str]) -> dict[str, str]:
    """Return where each setting was set: its flag, or file, line and name."""
    places: dict[str, str] = {}
    for path in _config_files(args):
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        places |= {name: f"{path}:{line}: {name}" for name, line in _keys(root, _sections())}
    flags = [arg.partition("=")[0].removesuffix("+") for arg in args if arg.startswith("--")]
    return places | {flag.removeprefix("--"): flag for flag in flags}


@contextmanager
def located(args: Sequence[str] | None = None) -> Iterator[None]:
    """Begin the message of a UserError about a setting of a YAML file with its file and line.

    Args:
        args: as for :func:`parse_config`, which has accepted them.
    """
    try:
        yield
    except UserError as error:
        places = _places(list(sys.argv[1:] if args is None else args))
        name, known = str(error).partition(":")[0], dict(settings())
        while name and name not in known:  # mixing.options.rates is a part of mixing.options
            name = name.rpartition(".")[0]
        by_flag = any(f"{key}.".startswith(f"{name}.") for key in places if places[key][:2] == "--")
        place = places.get(name, name).removesuffix(name)
        if by_flag or not place:
            raise
        raise UserError(f"{place}{error}") from error


@cache
def settings() -> tuple[tuple[str, object], ...]:
    """Dotted name and type of every setting: ``("data.use", tuple[str, ...])``."""
    return tuple(_fields(RunConfig))


def _fields(cls: type, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, hint in get_type_hints(cls).items():
        if is_dataclass(hint):
            yield from _fields(hint, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            yield prefix + name, hint


def _bracket_lists(args: Iterable[str]) -> list[str]:
    """Put brackets around lists: ``--data.use ["rte","mrpc"]`` for ``rte,mrpc``."""
    flags = {f"--{name}" for name, hint in settings() if hint == tuple[str, ...]}
    result: list[str] = []
    for arg in args:
        flag, equals, value = arg.partition("=")
        if equals and flag in flags:
            arg = f"{flag}={_as_list(value)}"
        elif result and result[-1] in flags:
            arg = _as_list(arg)
        result.append(arg)
    return result


def _as_list(value: str) -> str:
    """Return comma-separated words as a JSON list; a value in brackets stays as it is."""
    if value.lstrip().startswith("["):
        return value
    return json.dumps([word.strip() for word in value.split(",") if word.strip()])


def _check_config_keys(parser: ArgumentParser, args: Sequence[str]) -> None:
    """Stop at an unknown key of a YAML file, with file, line and the nearest setting.

    jsonargparse reports neither the line nor a suggestion.
    """
    known, sections = [name for name, _ in settings()], _sections()
    for path in _config_files(args):
        try:
            text = path.read_text(encoding="utf-8")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            check_size(root)
            for name, line in _repeated(root):
                parser.error(f"{path}:{line}: key {name} occurs twice")
            yaml.safe_load(text)  # finds values that jsonargparse fails on
        except UnicodeDecodeError:
            parser.error(str(not_utf8(path)))
        except RecursionError:
            parser.error(f"{path}: not valid YAML: nested too deep")
        except (ValueError, yaml.YAMLError) as error:  # ValueError: too many digits
            parser.error(not_yaml(path, error))
        if root is not None and not isinstance(root, yaml.MappingNode):
            parser.error(f"{path}: expected settings, such as `seed: 1`")
        old = OLD_SETTINGS if path.name == RUN_FILE else ()
        for key, line in _keys(root, sections):
            if key not in known and key not in sections and key not in old:
                parser.error(f"{path}:{line}: unknown setting {key}.{similar_settings(key, known)}")
        for line, message in file_problems(root):
            parser.error(f"{path}:{line}: {message}")


def _sections() -> set[str]:
    return {name.rpartition(".")[0] for name, _ in settings()}


def _config_files(args: Sequence[str]) -> list[Path]:
    """Existing files given by ``--config``; jsonargparse reports missing files."""
    given = [after for flag, after in pairwise(args) if flag == "--config"]
    given += [arg.removeprefix("--config=") for arg in args if arg.startswith("--config=")]
    return [path for path in map(Path, given) if path.is_file()]


def _repeated(node: yaml.Node | None, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield the dotted keys that occur twice in a mapping of a YAML document, with their lines."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                yield f"{prefix}{key.value}", key.start_mark.line + 1
            seen.add(key.value)
            yield from _repeated(value, f"{prefix}{key.value}.")


def _keys(
    node: yaml.Node | None, sections: set[str], prefix: str = ""
) -> Iterator[tuple[str, int]]:
    """Yield the dotted keys of a YAML document, down to sections, with their lines."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}{key.value if isinstance(key, yaml.ScalarNode) else 'a list'}"
            yield name, key.start_mark.line + 1
            if name in sections:
                yield from _keys(value, sections, f"{name}.")
