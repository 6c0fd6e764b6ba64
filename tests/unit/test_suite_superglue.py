"""experiments/superglue: a made-up SuperGLUE folder in, canonical rows out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.registries import FORMATS
from data_utils.sources import FileSource
from experiments.superglue import prepare as superglue_prepare
from experiments.superglue.prepare import FOLDERS, prepare
from experiments.superglue.rows import SHAPES, label_word
from mt_dnn.config.parser import parse_config
from mt_dnn.task_types import load_tasks
from tests.support.files import rows, write
from tests.support.superglue_records import PASSAGE, multirc, record, wsc

SUITE = Path(superglue_prepare.__file__).parent


@pytest.fixture(scope="module")
def tasks():
    return load_tasks(SUITE / "tasks.yml")


def test_all_tasks_with_the_papers_metrics(tasks):
    assert list(tasks) == list(FOLDERS) == list(SHAPES)
    metrics = {name: task.metrics for name, task in tasks.items()}
    assert metrics.pop("cb") == ("ACC", "F1MAC")
    assert metrics.pop("multirc") == ("MultiRCF1a", "MultiRCEM")
    assert metrics.pop("record") == ("ReCoRDF1", "ReCoRDEM")
    assert metrics.pop("axb") == ("MCC",)
    assert metrics.pop("axg") == ("ACC", "GenderParity")
    assert set(metrics.values()) == {("ACC",)}
    assert tasks["axb"].head_name == tasks["axg"].head_name == "rte"
    assert tasks["cb"].labels == ("entailment", "contradiction", "neutral")
    assert tasks["rte"].labels == ("entailment", "not_entailment")
    assert tasks["boolq"].labels == tasks["wic"].labels == tasks["wsc"].labels == ("false", "true")


def test_pairs_and_their_labels_as_json_writes_them(raw, out, capsys):
    pair = {"question": "is it wet", "passage": 'Rain -- It is\n"wet".', "idx": 3}
    write(raw / "BoolQ/train.jsonl", pair | {"label": True}, pair | {"label": False, "idx": 4})
    write(raw / "BoolQ/test.jsonl", pair)
    nli = {"premise": "It rains.", "hypothesis": "It is wet.", "idx": 0}
    write(raw / "CB/val.jsonl", nli | {"label": "neutral"})
    write(raw / "RTE/val.jsonl", nli | {"label": "not_entailment"})
    prepare(str(raw), str(out))
    texts = ['Rain -- It is "wet".', "is it wet"]
    assert rows(out / "boolq_train.tsv") == [["3", "true", *texts], ["4", "false", *texts]]
    assert rows(out / "boolq_test.tsv") == [["3", "", *texts]]
    assert rows(out / "cb_dev.tsv") == [["0", "neutral", "It rains.", "It is wet."]]
    assert rows(out / "rte_dev.tsv") == [["0", "not_entailment", "It rains.", "It is wet."]]
    printed = capsys.readouterr().out
    assert "boolq train: 2 rows" in printed
    assert f"boolq dev: no file {raw / 'BoolQ/val.jsonl'}" in printed


def test_copa_asks_in_words_and_marks_the_right_alternative(raw, out, tasks):
    causes = {"premise": "I fell.", "choice1": "Ice.", "choice2": "Tea.", "question": "cause"}
    write(
        raw / "COPA/train.jsonl", causes | {"label": 0, "idx": 0}, causes | {"label": 1, "idx": 1}
    )
    write(raw / "COPA/test.jsonl", causes | {"question": "effect", "idx": 0})
    prepare(str(raw), str(out), "copa")
    asked = "I fell. What was the cause of this?"
    assert rows(out / "copa_train.tsv") == [
        ["0", "0,1", "1,0", asked, "Ice.", "Tea."],
        ["1", "0,1", "0,1", asked, "Ice.", "Tea."],
    ]
    effect = "I fell. What happened as a result?"
    assert rows(out / "copa_test.tsv") == [["0", "0,1", "", effect, "Ice.", "Tea."]]
    assert [e.label for e in parsed(out / "copa_train.tsv", tasks["copa"])] == [[1, 0], [0, 1]]


def test_wic_shows_the_word(raw, out):
    pair = {"word": "bed", "sentence1": "River bed.", "sentence2": "To bed.", "version": 1.1}
    places = {"start1": 6, "end1": 9, "start2": 3, "end2": 6}
    write(raw / "WiC/val.jsonl", pair | places | {"idx": 0, "label": False})
    prepare(str(raw), str(out), "wic")
    assert rows(out / "wic_dev.tsv") == [["0", "false", "bed: River bed.", "To bed."]]


def test_multirc_has_a_row_for_every_answer_under_its_question(raw, out):
    write(raw / "MultiRC/val.jsonl", multirc())
    write(raw / "MultiRC/test.jsonl", multirc(labelled=False))
    prepare(str(raw), str(out), "multirc")
    dev = rows(out / "multirc_dev.tsv")
    assert dev[0] == ["7-0-0", "1", "Bo left.", "Who left? Bo"]
    assert [row[:2] for row in dev[1:]] == [["7-0-1", "0"], ["7-1-0", "0"], ["7-1-1", "1"]]
    questions = {row[0].rpartition("-")[0] for row in dev}
    assert len(questions) == 2  # what MultiRCEM counts
    assert [row[1] for row in rows(out / "multirc_test.tsv")] == [""] * 4


def test_record_fills_the_gap_with_every_entity_once(raw, out, tasks):
    write(raw / "ReCoRD/val.jsonl", record())
    prepare(str(raw), str(out), "record")
    first, second = rows(out / "record_dev.tsv")
    uid, choice, answer, label, premise, *filled = second
    assert uid == "4-10"
    assert json.loads(choice) == ["Ann", "Bo", "Paris"]
    assert json.loads(answer) == ["Bo"]
    assert json.loads(label) == [0, 1, 0]
    assert premise == "Ann met Bo in Paris. Bo left. Ann stays in Paris Bo is gone"
    assert filled == ["Where is Ann?", "Where is Bo?", "Where is Paris?"]
    assert first[5:] == ["Ann, or Ann?", "Bo, or Bo?", "Paris, or Paris?"]
    for example in parsed(out / "record_dev.tsv", tasks["record"]):
        assert len(example.texts) == 4


def test_record_without_answers_is_a_test_row(raw, out):
    unlabelled = record()
    unlabelled["qas"] = [{"query": "@placeholder left", "idx": 0}]
    write(raw / "ReCoRD/test.jsonl", unlabelled)
    write(raw / "ReCoRD/train.jsonl", record(), unlabelled)
    prepare(str(raw), str(out), "record")
    ((uid, _, answer, label, *_),) = rows(out / "record_test.tsv")
    assert (uid, answer, label) == ("4-0", "[]", "")
    assert len(rows(out / "record_train.tsv")) == 2


def test_record_whose_answer_is_no_candidate_is_named(raw, out, capsys):
    stray = record()
    stray["qas"][0]["answers"] = [{"start": 0, "end": 2, "text": "Cy"}]
    write(raw / "ReCoRD/train.jsonl", stray)
    prepare(str(raw), str(out), "record")
    assert [row[0] for row in rows(out / "record_train.tsv")] == ["4-10"]
    printed = capsys.readouterr().out
    assert f"{raw}/ReCoRD/train.jsonl:1: no entity of the passage is an answer" in printed


def test_wsc_marks_spans_by_the_place_of_their_words(raw, out):
    write(
        raw / "WSC/train.jsonl",
        wsc(0, "Mark", 7, "him", idx=0, label=False),
        wsc(3, "Many lies", 7, "him", idx=1, label=True),  # the text's words stand otherwise
    )
    prepare(str(raw), str(out), "wsc")
    assert rows(out / "wsc_train.tsv") == [
        ["0", "false", "[ Mark ] told Pete many lies. Pete believed * him. *"],
        ["1", "true", "Mark told Pete [ many lies. ] Pete believed * him. *"],
    ]


def test_tables_do_where_the_download_is_not_there(raw, out, capsys):
    header = "word\tsentence1\tsentence2\tlabel"
    write(raw / "wic/train.tsv", header, "word: bed\tRiver bed.\tTo bed.\t0", "word: bed\tA bed.")
    write(raw / "boolq/dev.tsv", "question\tpassage\tlabel", 'is it\tSaid "no.\t1')
    copa = "premise\tquestion\tchoice1\tchoice2\tlabel"
    write(raw / "copa/train.tsv", copa, "I fell.\tcause\tIce.\tTea.\t1")
    write(raw / "cb/dev.tsv", "premise\thypothesis\tlabel", "A\tB\tcontradiction")
    prepare(str(raw), str(out))
    assert rows(out / "wic_train.tsv") == [["0", "false", "bed: River bed.", "To bed."]]
    assert rows(out / "boolq_dev.tsv") == [["0", "true", 'Said "no.', "is it"]]
    asked = "I fell. What was the cause of this?"
    assert rows(out / "copa_train.tsv") == [["0", "0,1", "0,1", asked, "Ice.", "Tea."]]
    assert rows(out / "cb_dev.tsv") == [["0", "contradiction", "A", "B"]]
    assert f"{raw}/wic/train.tsv:3: 2 columns instead of 4" in capsys.readouterr().out


def test_the_download_goes_before_a_table(raw, out):
    nli = {"premise": "A", "hypothesis": "B", "label": "neutral", "idx": 5}
    write(raw / "CB/train.jsonl", nli)
    write(raw / "cb/train.tsv", "premise\thypothesis\tlabel", "C\tD\tentailment")
    prepare(str(raw), str(out), "cb")
    assert rows(out / "cb_train.tsv") == [["5", "neutral", "A", "B"]]


def test_a_table_of_nested_records_is_none(raw, out):
    write(raw / "record/train.tsv", "passage\tquery", f"{PASSAGE!r}\t@placeholder left")
    with pytest.raises(UserError, match="nothing found"):
        prepare(str(raw), str(out), "record")


def test_dev_rows_without_gold_labels_are_left_out_and_named(raw, out, capsys):
    nli = {"premise": "A", "hypothesis": "B"}
    write(raw / "CB/val.jsonl", nli | {"idx": 0, "label": "neutral"}, nli | {"idx": 1})
    prepare(str(raw), str(out), "cb")
    assert rows(out / "cb_dev.tsv") == [["0", "neutral", "A", "B"]]
    printed = capsys.readouterr().out
    assert "cb skipped 1 lines" in printed
    assert f"{raw}/CB/val.jsonl:2: no gold label" in printed


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("CB/val.jsonl", '{"premise": "A"', r"CB/val.jsonl:1: not JSON"),
        (
            "CB/val.jsonl",
            '{"premise": "A", "hypothesis": "B", "label": "neutrl"}',
            r"CB/val.jsonl:1: .*'neutrl'.*Did you mean 'neutral'",
        ),
        (
            "RTE/val.jsonl",
            '{"premise": "A", "label": "entailment"}',
            r"RTE/val.jsonl:1: column 'hypothesis' is missing; the row has .*premise",
        ),
        ("WiC/val.jsonl", '{"word": "a", "label": true}', r"WiC/val.jsonl:1: column 'sentence1'"),
        (
            "COPA/val.jsonl",
            '{"question": "reason", "label": 1}',
            r"COPA/val.jsonl:1: question 'reason'.* Choices: cause, effect",
        ),
        ("COPA/val.jsonl", '{"question": "cause", "label": 2}', r"label '2' is neither 0 nor 1"),
        (
            "MultiRC/val.jsonl",
            '{"idx": 0, "passage": {"text": "A"}}',
            r"MultiRC/val.jsonl:1: not a record of multirc: KeyError 'questions'",
        ),
        (
            "ReCoRD/val.jsonl",
            '{"idx": 0, "passage": "A", "qas": []}',
            r"ReCoRD/val.jsonl:1: not a record of record: TypeError",
        ),
        (
            "ReCoRD/val.jsonl",
            json.dumps(record()).replace("@placeholder", "X"),
            r"ReCoRD/val.jsonl:1: query without @placeholder: 'X, or X\?'",
        ),
        (
            "WSC/val.jsonl",
            json.dumps(wsc(7, "him. He", 0, "Mark", idx=0, label=True)),
            r"WSC/val.jsonl:1: span1: words 7 to 8 of 8",
        ),
    ],
)
def test_faults_name_file_and_line_and_leave_nothing(raw, out, file, line, message):
    write(raw / file, line)
    with pytest.raises(UserError, match=message):
        prepare(str(raw), str(out))
    assert not out.exists()


def test_labels_of_every_layout_become_words(tasks):
    def word(label: object, task: str = "wic") -> str:
        return label_word(Row({"label": label}, "here:1"), tasks[task])

    assert [word(x) for x in (True, 1, "1", "true", "True")] == ["true"] * 5
    assert [word(x) for x in (False, 0, "0", "false")] == ["false"] * 4
    assert [word(x) for x in (-1, "", "-1")] == [""] * 3
    assert [word(x, "cb") for x in (2, "neutral")] == ["neutral"] * 2
    assert [word(x, "multirc") for x in (1, "1")] == ["1"] * 2
    with pytest.raises(UserError, match=r"here:1: label '2' is not a label of task 'wic'"):
        word(2)


def test_hub_rows_equal_the_downloads(raw, out, monkeypatch):
    datasets = pytest.importorskip("datasets")
    names = {"copa": ["choice1", "choice2"]}
    answered = {
        "paragraph": "Bo\tleft.",
        "question": "Who left?",
        "answer": "Bo",
        "idx": {"paragraph": 7, "question": 0, "answer": 0},
    }
    queried = {
        "passage": PASSAGE,
        "query": "Where is @placeholder?",
        "entities": ["Bo", "Paris", "Ann"],
        "answers": ["Bo"],
        "idx": {"passage": 4, "query": 10},
    }
    choice = {"premise": "I fell.", "choice1": "Ice.", "choice2": "Tea.", "question": "cause"}
    hub = {
        "boolq": {"question": "is it", "passage": "It is.", "idx": 3, "label": 1},
        "copa": choice | {"idx": 1, "label": 1},
        "multirc": answered | {"label": 1},
        "record": queried,
        "wsc": wsc(0, "Mark", 7, "him")["target"]
        | {"text": "a b c d e f g h", "idx": 2, "label": 0},
    }

    def fake_load(name: str, config: str, revision: str | None = None):
        assert name == "aps/super_glue"
        labelled = hub[config]
        unlabelled = labelled | ({"answers": []} if config == "record" else {"label": -1})
        splits = {"train": labelled, "validation": labelled, "test": unlabelled}
        made = datasets.DatasetDict(
            {split: datasets.Dataset.from_list([row]) for split, row in splits.items()}
        )
        if config == "record":
            return made
        words = datasets.ClassLabel(names=names.get(config, ["False", "True"]))
        return made.cast_column("label", words)

    monkeypatch.setattr(datasets, "load_dataset", fake_load)
    prepare("hub", str(out / "hub"), ",".join(hub))
    boolq = ["true", "It is.", "is it"]
    assert rows(out / "hub" / "boolq_dev.tsv") == [["3", *boolq]]
    assert rows(out / "hub" / "boolq_test.tsv") == [["3", "", *boolq[1:]]]
    assert rows(out / "hub" / "wsc_dev.tsv") == [["2", "false", "[ a ] b c d e f g * h *"]]

    write(raw / "COPA/val.jsonl", choice | {"label": 1, "idx": 1})
    write(raw / "MultiRC/val.jsonl", multirc())
    write(raw / "ReCoRD/val.jsonl", record())
    prepare(str(raw), str(out / "file"), "copa,multirc,record")
    for task in ("copa", "multirc", "record"):
        assert rows(out / "hub" / f"{task}_dev.tsv")[0] in rows(out / "file" / f"{task}_dev.tsv")
    assert rows(out / "hub" / "record_test.tsv")[0][2:4] == ["[]", ""]


def test_mistakes_exit_with_2(raw, out, command):
    raw.mkdir()
    code, _, err = command(superglue_prepare.main, "--source", raw, "--out", out)
    assert code == 2
    assert f"error: nothing found in {raw} for boolq, cb, copa" in err
    code, _, err = command(superglue_prepare.main, "--source", raw, "--tasks", "multrc")
    assert code == 2
    assert "Did you mean 'multirc'" in err


@pytest.mark.parametrize("name", ["single", "minilm"])
def test_run_config_parses(name, tasks):
    path = SUITE / f"{name}.yml"
    config = parse_config(["--config", str(path)])
    assert set(config.data.use) <= set(tasks)
    assert (SUITE.parent.parent / config.data.tasks).samefile(SUITE / "tasks.yml")
    assert path.read_text().startswith("# ")


def parsed(path: Path, task) -> list:
    data_format = FORMATS.get(task.data_format)
    return [data_format.parse(r, task) for r in FileSource(path, data_format.columns, {}).rows()]
