"""experiments/glue: a made-up GLUE folder in, official submission files out."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from data_utils.errors import UserError
from experiments.glue import prepare as glue_prepare
from experiments.glue.prepare import prepare
from experiments.glue.wnli import mark_spans
from mt_dnn.config.run import RunConfig
from mt_dnn.task_types import load_tasks
from tests.support.files import rows, write

GLUE = Path(glue_prepare.__file__).parent


@pytest.fixture
def tasks():
    return load_tasks(GLUE / "tasks.yml")


def test_all_tasks_with_the_hubs_label_order(tasks):
    names = "cola sst2 mrpc stsb qqp mnli qnli qnli_ranking rte wnli wnli_marked ax"
    assert " ".join(tasks) == names
    assert set(tasks) == set(glue_prepare.LAYOUTS)
    assert tasks["rte"].labels == tasks["qnli"].labels == ("entailment", "not_entailment")
    assert tasks["mnli"].labels == ("entailment", "neutral", "contradiction")
    assert tasks["ax"].head_name == "mnli"
    assert tasks["ax"].split_names == ("test",)
    assert tasks["cola"].metrics == ("MCC",)
    assert tasks["stsb"].label_is_number


def test_pair_task_with_and_without_labels(raw, out, capsys):
    header = "index\tsentence1\tsentence2"
    write(raw / "RTE/train.tsv", header + "\tlabel", "7\tIt rains.\tIt is wet.\tentailment")
    write(raw / "RTE/dev.tsv", header + "\tlabel", '3\tHe said "no.\tYes\u2028?\tnot_entailment')
    write(raw / "RTE/test.tsv", header, "0\tA\tB", "1\tC\tD")
    prepare(str(raw), str(out))
    assert rows(out / "rte_train.tsv") == [["7", "entailment", "It rains.", "It is wet."]]
    # Quotation marks are text, and a Unicode line separator inside a text ends no line.
    assert rows(out / "rte_dev.tsv") == [["3", "not_entailment", 'He said "no.', "Yes ?"]]
    assert rows(out / "rte_test.tsv") == [["0", "", "A", "B"], ["1", "", "C", "D"]]
    printed = capsys.readouterr().out
    assert "rte test: 2 rows" in printed
    assert f"mnli skipped: no folder {raw / 'MNLI'}" in printed


def test_columns_are_found_by_name_behind_a_bom(raw, out):
    header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
    write(raw / "MRPC/train.tsv", header, "0\t11\t12\tone\ttwo")
    write(raw / "MRPC/dev.tsv", header, "1\t21\t22\tthree\tfour", encoding="utf-8-sig")
    write(raw / "MRPC/test.tsv", header.replace("Quality", "index"), "0\t31\t32\tfive\tsix")
    prepare(str(raw), str(out))
    assert rows(out / "mrpc_train.tsv") == [["0", "0", "one", "two"]]
    assert rows(out / "mrpc_dev.tsv") == [["0", "1", "three", "four"]]
    assert rows(out / "mrpc_test.tsv") == [["0", "", "five", "six"]]


def test_cola_has_a_header_only_in_its_test_file(raw, out):
    write(raw / "CoLA/train.tsv", "gj04\t1\t\tThey ran.", "gj04\t0\t*\tThey run ran.")
    write(raw / "CoLA/test.tsv", "index\tsentence", "0\tSentence first.", "1\tBill whistled.")
    prepare(str(raw), str(out))
    assert rows(out / "cola_train.tsv") == [["0", "1", "They ran."], ["1", "0", "They run ran."]]
    assert rows(out / "cola_test.tsv") == [
        ["0", "", "Sentence first."],
        ["1", "", "Bill whistled."],
    ]


def test_mnli_and_qqp_by_the_downloads_own_columns(raw, out, capsys):
    parses = "sentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse"
    pair = f"index\tpromptID\tpairID\tgenre\t{parses}\tsentence1\tsentence2"
    cells = "31193\t31193n\tfiction\tb1\tb2\tp1\tp2"
    write(
        raw / "MNLI/dev_matched.tsv",
        pair + "\tlabel1\tlabel2\tgold_label",
        f"0\t{cells}\tA\tB\tneutral\tneutral\tneutral",
        f"1\t{cells}\tC\tD\tneutral\tentailment\t-",
    )
    write(raw / "MNLI/test_mismatched.tsv", pair, f"0\t{cells}\tE\tF")
    qqp = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
    write(raw / "QQP/train.tsv", qqp, "133273\t1\t2\tWhy\r?\tWho?\t0", "99\t3\t4\tbroken off")
    write(raw / "QQP/test.tsv", "id\tquestion1\tquestion2", "0\tWho?\tHow?")
    prepare(str(raw), str(out), "mnli,qqp")
    assert rows(out / "mnli_matched_dev.tsv") == [["0", "neutral", "A", "B"]]
    assert rows(out / "mnli_mismatched_test.tsv") == [["0", "", "E", "F"]]
    assert rows(out / "qqp_train.tsv") == [["133273", "0", "Why ?", "Who?"]]
    assert rows(out / "qqp_test.tsv") == [["0", "", "Who?", "How?"]]
    printed = capsys.readouterr().out
    assert f"{raw}/MNLI/dev_matched.tsv:3: no gold label" in printed
    assert f"{raw}/QQP/train.tsv:3: 4 columns instead of 6" in printed
    assert f"mnli train: no file {raw}/MNLI/train.tsv" in printed


def test_missing_column_names_file_and_columns_and_writes_nothing(raw, out):
    write(raw / "RTE/train.tsv", "index\tpremise\tsentence2\tlabel", "0\tA\tB\tentailment")
    with pytest.raises(UserError) as error:
        prepare(str(raw), str(out))
    assert str(raw / "RTE/train.tsv") in str(error.value)
    assert "no column 'sentence1'; found 'index', 'premise', 'sentence2', 'label'" in str(
        error.value
    )
    assert not out.exists()


def test_training_file_without_labels_is_refused(raw, out):
    write(raw / "WNLI/train.tsv", "index\tsentence1\tsentence2", "0\tA\tB")
    with pytest.raises(UserError, match="no column 'label'"):
        prepare(str(raw), str(out))


@pytest.mark.parametrize(
    ("file", "bad", "message"),
    [
        ("RTE/dev.tsv", "1\tA\tB\tentailmemt", r"RTE/dev.tsv:3: .*Did you mean 'entailment'"),
        ("STS-B/dev.tsv", "1\tA\tB\tlots", r"STS-B/dev.tsv:3: .*'lots'.*not a number"),
    ],
)
def test_label_that_is_none_of_the_tasks(raw, out, file, bad, message):
    label, good = ("score", "3.5") if file.startswith("STS") else ("label", "entailment")
    write(raw / file, f"index\tsentence1\tsentence2\t{label}", f"0\tA\tB\t{good}", bad)
    with pytest.raises(UserError, match=message):
        prepare(str(raw), str(out))


def test_test_rows_stay_though_their_labels_are_blank(raw, out):
    header = "index\tsentence1\tsentence2\tlabel"
    for split in ("dev", "test"):
        write(raw / f"WNLI/{split}.tsv", header, "0\tA\tB\t", "1\tC\tD\t1", "2\tE\tF\t-")
    prepare(str(raw), str(out))
    assert rows(out / "wnli_dev.tsv") == [["1", "1", "C", "D"]]
    test = [["0", "", "A", "B"], ["1", "1", "C", "D"], ["2", "", "E", "F"]]
    assert rows(out / "wnli_test.tsv") == test


def test_many_skipped_lines_are_counted_and_some_shown(raw, out, capsys):
    write(raw / "SST-2/train.tsv", "sentence\tlabel", "good\t1", *["broken"] * 30)
    prepare(str(raw), str(out))
    printed = capsys.readouterr().out
    assert "sst2 skipped 30 lines" in printed
    assert printed.count("1 columns instead of 2") == 20
    assert "and 10 more" in printed


def test_file_with_a_header_only(raw, out):
    write(raw / "SST-2/train.tsv", "sentence\tlabel")
    with pytest.raises(UserError, match="sst2 train: no rows"):
        prepare(str(raw), str(out))


def test_nothing_found_exits_with_2(raw, out, command):
    raw.mkdir()
    code, _, err = command(glue_prepare.main, "--source", raw, "--out", out)
    assert code == 2
    assert f"error: nothing found in {raw}" in err
    code, _, err = command(glue_prepare.main, "--source", raw / "no", "--out", out)
    assert code == 2
    assert "no such folder" in err
    code, _, err = command(glue_prepare.main, "--source", raw, "--tasks", "rte,mrcp")
    assert code == 2
    assert "Did you mean 'mrpc'" in err


def test_hub_rows_equal_the_downloads(out, monkeypatch):
    datasets = pytest.importorskip("datasets")

    def fake_load(name: str, config: str, revision: str | None = None):
        assert name == "nyu-mll/glue"
        features = {
            "rte": {"sentence1": ["A\tand\nB"], "sentence2": ["C"], "label": [1], "idx": [5]},
            "stsb": {"sentence1": ["A"], "sentence2": ["C"], "label": [3.8], "idx": [0]},
        }
        labelled = datasets.Dataset.from_dict(features[config])
        if config == "stsb":
            labelled = labelled.cast_column("label", datasets.Value("float32"))
        test = datasets.Dataset.from_dict(features[config] | {"label": [-1]})
        return datasets.DatasetDict(train=labelled, validation=labelled, test=test)

    monkeypatch.setattr(datasets, "load_dataset", fake_load)
    prepare("hub", str(out), "rte,stsb")
    assert rows(out / "rte_dev.tsv") == [["5", "not_entailment", "A and B", "C"]]
    assert rows(out / "rte_test.tsv") == [["5", "", "A and B", "C"]]
    assert rows(out / "stsb_train.tsv") == [["0", "3.800", "A", "C"]]


def test_hub_out_of_reach(out, monkeypatch):
    datasets = pytest.importorskip("datasets")

    def offline(name: str, config: str, revision: str | None = None):
        raise ConnectionError("no route\nand more")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(UserError, match=r"\(rte\) cannot be loaded from the hub: no route$"):
        prepare("hub", str(out), "rte")


@pytest.mark.parametrize(
    ("sentence1", "sentence2"),
    [
        ("A pot will not fit because [it] is too tall.", "_The pot_ is too tall."),
        # The pronoun whose context agrees longest, at either end; the candidate need not begin.
        (
            "He took it off the bag so that [it] would be lighter.",
            "He took it off the bag so that _the bag_ would be lighter.",
        ),
        ("The dogs saw Ann. We had to call [them].", "We had to call _The dogs_."),
        (
            'Tom said "Check" to Ralph as he took [his] bishop.',
            'Tom said "Check" to Ralph as he took _Ralph\'s_ bishop.',
        ),
        ("Sam sat by the boys' dog. [Their] food was gone.", "_The boys'_ food was gone."),
        ("Ann asked Joan, but [she] refused.", "_Joan_ refused."),
    ],
)
def test_wnli_spans_are_found_again(sentence1, sentence2):
    plain1, plain2 = (
        text.translate({ord(mark): None for mark in "[]_"}) for text in (sentence1, sentence2)
    )
    assert mark_spans(plain1, plain2) == (sentence1, sentence2)


@pytest.mark.parametrize(
    ("sentence1", "sentence2"),
    [
        ("Ann met Joan and was late.", "Joan was late."),  # no pronoun
        ("He could not hear it.", "They heard the train."),  # nothing around it
        ("Tom slept; he woke, and he woke.", "Tom woke."),  # two fit alike
        ("Men lived here. They hunted deer.", "Prehistoric men hunted deer."),  # said otherwise
        ("It broke.", ""),
    ],
)
def test_wnli_spans_that_cannot_be_told_stay_plain(sentence1, sentence2):
    assert mark_spans(sentence1, sentence2) is None


def test_wnli_marked_stands_beside_the_plain_task(raw, out, capsys):
    header = "index\tsentence1\tsentence2\tlabel"
    lines = ("4\tI hit the pot and it broke.\tThe pot broke.\t1", "7\tHe left.\tShe came.\t0")
    write(raw / "WNLI/dev.tsv", header, *lines)
    prepare(str(raw), str(out), "wnli,wnli_marked")
    plain = [["4", "1", "I hit the pot and it broke.", "The pot broke."]]
    marked = [["4", "1", "I hit the pot and [it] broke.", "_The pot_ broke."]]
    same = [["7", "0", "He left.", "She came."]]
    assert rows(out / "wnli_dev.tsv") == plain + same
    assert rows(out / "wnli_marked_dev.tsv") == marked + same
    assert "wnli_marked dev: spans marked in 1 of 2 pairs" in capsys.readouterr().out


def test_wnli_marked_comes_from_the_hubs_wnli(out, monkeypatch):
    datasets = pytest.importorskip("datasets")

    def fake_load(name: str, config: str, revision: str | None = None):
        assert (name, config) == ("nyu-mll/glue", "wnli")
        columns = {"sentence1": ["The pot fell; it broke."], "sentence2": ["The pot broke."]}
        split = datasets.Dataset.from_dict(columns | {"label": [1], "idx": [0]})
        return datasets.DatasetDict(train=split, validation=split, test=split)

    monkeypatch.setattr(datasets, "load_dataset", fake_load)
    prepare("hub", str(out), "wnli_marked")
    expected = [["0", "1", "The pot fell; [it] broke.", "_The pot_ broke."]]
    assert rows(out / "wnli_marked_dev.tsv") == expected


@pytest.mark.parametrize("name", ["glue/single", "glue/multitask", "glue/finetune", "demo/run"])
def test_run_config_parses(name):
    path = GLUE.parent / f"{name}.yml"
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(RunConfig)
    parser.add_argument("--config", action="config")
    config = parser.instantiate(parser.parse_args([f"--config={path}"]))
    tasks = load_tasks(GLUE.parent.parent / config.data.tasks)
    assert set(config.data.use) <= set(tasks)
    assert all(tasks[name].splits("train") for name in config.data.use or tasks)
    assert path.read_text().startswith("# ")
