"""Wrong values of the options of every command but train: one line, exit code 2, no usage text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mt_dnn import cli

TABLE = "table experiments/smart/table3.yml"
NEW = "new-task rows.csv --encoder x"
IMPORT = "import --checkpoint a --tasks b --encoder c --out d"
# fmt: off
CASES = [
    ("predict", "missing: --run"),
    ("predict --run", "--run: at least one value is needed"),
    ("predict --run a --layer x", "--layer: expected a whole number or null, got x"),
    ("predict --run a --precision fp16", "--precision: expected one of fp32, bf16, got fp16"),
    ("predict --run a --pooling med", "--pooling: expected one of cls, mean, max or null, got med"),
    ("predict --run a --devise cpu", "there is no option --devise. Did you mean '--device'? Choices: --batch_size, ..."),
    ("predict --run a --text yes", "unexpected: yes"),
    ("compare", "missing: RUN"),
    ("compare a --out", "--out: a value is missing"),
    ("compare a --datset x", "there is no option --datset. Did you mean '--dataset'? Choices: --dataset, --help, --out, --plugins."),
    ("robustness", "missing: RUN"),
    ("robustness a --steps x", "--steps: expected a whole number of at least 1, got 'x'"),
    ("robustness a --steps 0", "--steps: expected a whole number of at least 1, got '0'"),
    ("robustness a --attack_rows 1.5", "--attack_rows: expected a whole number of at least 1, got '1.5'"),
    ("robustness a --seed -1", "--seed: expected a whole number of at least 0, got '-1'"),
    ("robustness a --on_loss=3", "--on_loss: takes no value, got '3'"),
    ("table", "missing: table"),
    (f"{TABLE} --jobs x", "--jobs: expected a whole number of at least 1, got 'x'"),
    (f"{TABLE} --jobs 0", "--jobs: expected a whole number of at least 1, got '0'"),
    (f"{TABLE} --threads 0", "--threads: expected a whole number of at least 1, got '0'"),
    (f"{TABLE} --seeds 1 x", "--seeds: expected a whole number of at least 0, got 'x'"),
    (f"{TABLE} --shard 9/8", "--shard: '9/8' is not a share such as 2/8, from 1/8 to 8/8"),
    (f"{TABLE} --rendr_only", "there is no option --rendr_only. Did you mean '--render_only'? Choices: --gpus, ..."),
    ("report", "missing: RUN"),
    ("list --plugin x", "there is no option --plugin. Did you mean '--plugins'? Choices: --help, --plugins."),
    ("new-task", "missing: FILE, --encoder"),
    (f"{NEW} --seed x", "--seed: expected a whole number of at least 0, got 'x'"),
    ("export --out b", "missing: --run"),
    ("average --run a b", "missing: --out"),
    (f"{IMPORT} --max_seq_len 3", "--max_seq_len: expected a whole number of at least 8, got '3'"),
    ("launch --nproc_per_node", "--nproc-per-node/--nproc_per_node: a value is missing"),
]
# fmt: on


@pytest.mark.parametrize(("line", "message"), CASES)
def test_bad_flags(outcome: Callable, line: str, message: str) -> None:
    code, text = outcome(lambda: cli._dispatch(line.split()))
    found, last = text.removesuffix("\n").split("\n")
    begin, is_cut, _ = f"error: {message}".partition("...")
    assert code == 2
    assert found.startswith(begin) if is_cut else found == begin
    assert last == f"mt-dnn {line.split()[0]} --help lists every option."


def test_a_choice(outcome: Callable) -> None:
    line = "export --run a --out b --adapter none"
    code, text = outcome(lambda: cli._dispatch(line.split()))
    assert (code, text.replace("'", "").split("\n")[0]) == (
        2,
        "error: --adapter: expected one of merged, apart, got none",
    )
