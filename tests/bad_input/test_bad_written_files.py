"""Files that a run wrote and that were changed since: logs, the state of a checkpoint, stores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils.errors import UserError
from mt_dnn.config.run_format import FORMAT
from mt_dnn.runs.model_folder import read_scores, read_step
from mt_dnn.tracking.jsonl import JsonLines, check_logs, cut_back_logs, sync_logs
from mt_dnn.training.checkpoint import read_state, restoring
from tests.bad_input.expect import filled

# fmt: off
LOGS = [
    # name, second line, its beginning in the message
    ("garbage", b"{{{", "{{{"),
    ("a list", b"[1]", "[1]"),
    ("a number", b"7", "7"),
    ("no step", b'{"eval/average": 1.0}', '{"eval/average": 1.0}'),
    ("step NaN", b'{"step": NaN}', '{"step": NaN}'),
    ("step Infinity", b'{"step": Infinity}', '{"step": Infinity}'),
    ("step null", b'{"step": null}', '{"step": null}'),
    ("step is a text", b'{"step": "3"}', '{"step": "3"}'),
    ("step is true", b'{"step": true}', '{"step": true}'),
    ("not UTF-8", b'{"step": 2, "x": "\xff"}', '{"step": 2, "x": "\ufffd"}'),
    ("nested 10000 deep", b"[" * 10_000, "[" * 60),
]
STATES = [
    # key, value, message
    ("step", "three", "step is 'three'"),
    ("step", None, "step is None"),
    ("step", 1.5, "step is 1.5"),
    ("step", True, "step is True"),
    ("optimizer", {}, "optimizer is {}"),
    ("loader", [], "loader is []"),
    ("window", 3, "window is 3"),
    ("health", None, "health is None"),
    ("best", [1], "best is [1]"),
    ("evaluations_since_best", "0", "evaluations_since_best is '0'"),
    ("fingerprint", "x", "fingerprint is 'x'"),
    ("skipped", 0.5, "skipped is 0.5"),
    ("owes_evaluation", 1, "owes_evaluation is 1"),
    ("total", "9", "total is '9'"),
    ("scaler", 1, "scaler is 1"),
    ("logs", {"../x": 0}, "logs is {'../x': 0}"),
    ("logs", {"metrics.jsonl": "9"}, "logs is {'metrics.jsonl': '9'}"),
]
FIELDS = {
    **dict.fromkeys(("version", "n_class", "max_seq_len", "pad_token_id"), 1),
    **dict.fromkeys(("task", "split", "data_format", "label_form", "tokenizer_hash"), ""),
    **dict.fromkeys(("source_hash", "tokenizer", "source"), ""),
    **{"labels": [], "options": {}},
}
MANIFESTS = [
    # what is written as manifest.json, reason
    ("{}", "key 'version' is missing"),
    ("[]", "expected a JSON object, found list"),
    ("null", "expected a JSON object, found NoneType"),
    (json.dumps(FIELDS | {"rows": "3"}), "rows is '3'"),
    (json.dumps(FIELDS | {"labels": {}}), "labels is {}"),
    (json.dumps(FIELDS | {"colour": 1}), "unknown key 'colour'; a newer version may have written it"),
]
# fmt: on


def lines(*steps: int) -> list[bytes]:
    return [json.dumps({"step": step, "x": 0.5}).encode() for step in steps]


def write_logs(run_dir: Path, entries: list[bytes]) -> None:
    for name in ("metrics.jsonl", "timing.jsonl"):
        (run_dir / name).write_bytes(b"".join(entry + b"\n" for entry in entries))


@pytest.mark.parametrize(("line", "start"), [c[1:] for c in LOGS], ids=[c[0] for c in LOGS])
def test_a_line_of_the_logs_that_is_no_line_of_a_run(
    tmp_path: Path, outcome: Callable, line: bytes, start: str
) -> None:
    first, third = lines(1, 3)
    write_logs(tmp_path, [first, line, third])
    sizes = sync_logs(tmp_path)
    message = (
        f"FOLDER/metrics.jsonl:2: {start} is not a line of a run, such as "
        f'{{"step": 50, "eval/average": 71.2}}; correct or delete the line, then resume'
    )
    assert outcome(lambda: check_logs(tmp_path, sizes)) == (2, filled(message, tmp_path))


def test_what_a_killed_process_or_a_power_cut_leaves_after_a_checkpoint_is_no_damage(
    tmp_path: Path,
) -> None:
    write_logs(tmp_path, lines(1, 2))
    sizes = sync_logs(tmp_path)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    write_logs(tmp_path, [*lines(1, 2), b"\0" * 50, *lines(3)])
    with (tmp_path / "metrics.jsonl").open("ab") as stream:
        stream.write(b'{"step": 4, "x')
    check_logs(tmp_path, sizes)
    JsonLines(tmp_path).truncate_after(2)
    cut_back_logs(tmp_path, sizes)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_a_log_that_was_edited_is_not_cut_in_the_middle_of_a_line(tmp_path: Path) -> None:
    write_logs(tmp_path, lines(1, 2))
    sizes = sync_logs(tmp_path)
    note = b'{"step": 1, "note": "mine"}'
    write_logs(tmp_path, [note, *lines(1, 2, 3)])
    check_logs(tmp_path, sizes)
    JsonLines(tmp_path).truncate_after(2)
    cut_back_logs(tmp_path, sizes)
    found = (tmp_path / "metrics.jsonl").read_bytes().splitlines()
    assert found == [note, *lines(1, 2)]


def whole_state() -> dict[str, Any]:
    return {
        **{"format": FORMAT, "step": 3, "optimizer": ["AdamW", []], "loader": {}, "window": {}},
        **{"health": {}, "best": None, "evaluations_since_best": 0},
    }


@pytest.mark.parametrize(("key", "value", "message"), STATES)
def test_a_state_of_the_wrong_type(
    tmp_path: Path, outcome: Callable, key: str, value: object, message: str
) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps(whole_state()))
    assert read_state(tmp_path)["step"] == 3
    path.write_text(json.dumps(whole_state() | {key: value}))
    expected = filled(f"FOLDER/state.json is damaged: {message}", tmp_path)
    assert outcome(lambda: read_state(tmp_path)) == (2, expected)


@pytest.mark.parametrize("error", [KeyError("epoch"), TypeError("x"), IndexError("y")])
def test_a_state_that_cannot_be_restored(tmp_path: Path, error: Exception) -> None:
    message = "state.json is damaged and cannot be restored .*; delete .* the checkpoint before it"
    with pytest.raises(UserError, match=message), restoring(tmp_path):
        raise error


@pytest.mark.parametrize(("text", "reason"), MANIFESTS)
def test_a_bad_manifest(folder: Path, prepare: Callable, text: str, reason: str) -> None:
    store = folder / "stores" / "cls_train"
    store.mkdir(parents=True)
    (store / "manifest.json").write_text(text)
    message = (
        f"{store}/manifest.json cannot be read ({reason}); delete {store} to rebuild the store"
    )
    assert prepare("cls", store_dir=str(folder / "stores")) == (2, filled(message, folder))


def test_a_store_does_not_replace_what_is_no_store(folder: Path, prepare: Callable) -> None:
    place = folder / "stores" / "cls_train"
    advice = "move it away, or use another --data.store_dir"
    place.parent.mkdir()
    place.write_text("thesis")
    message = f"{place} is no store and is not replaced (it is not a folder): {advice}"
    assert prepare("cls", store_dir=str(place.parent)) == (2, filled(message, folder))
    place.unlink()
    place.mkdir()
    (place / "thesis.txt").write_text("years")
    message = f"{place} is no store and is not replaced (thesis.txt): {advice}"
    assert prepare("cls", store_dir=str(place.parent)) == (2, filled(message, folder))
    assert (place / "thesis.txt").read_text() == "years"


def test_scores_of_a_model_that_are_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "mt_dnn.json"
    path.write_text('{"format": 3, "step": NaN, "scores": {"text": {"Perplexity": Infinity}}}')
    assert read_scores(tmp_path) == {"text": {"Perplexity": None}}
    assert read_step(tmp_path) is None
    path.write_text('{"format": 3, "scores": {"text": 5}}')
    with pytest.raises(UserError, match=r"mt_dnn.json is damaged: scores: \{'text': 5\} is not"):
        read_scores(tmp_path)
