"""experiments/clue: made-up files in the shapes of CLUE, FewCLUE and Qianyan in, canonical rows out."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from data_utils.errors import UserError
from data_utils.labels import LabelKind
from experiments.clue import prepare as clue
from experiments.clue.prepare import pair_up, prepare
from mt_dnn.config.run import RunConfig
from mt_dnn.task_types import load_tasks
from tests.support.files import rows, write

CLUE = Path(clue.__file__).parent


def test_every_task_has_its_labels_in_the_benchmarks_words():
    tasks = load_tasks(CLUE / "tasks.yml")
    assert set(tasks) == set(clue.LAYOUTS)
    assert tasks["iflytek"].labels == tuple(map(str, range(119)))
    assert tasks["tnews"].labels == tuple(str(n) for n in range(100, 117) if n not in (105, 111))
    assert tasks["cmnli"].labels == tasks["ocnli"].labels
    assert set(tasks["ocnli"].labels) == {"entailment", "neutral", "contradiction"}
    assert tasks["wsc"].labels == ("true", "false")
    assert tasks["paws-x"].data_format == "PremiseAndOneHypothesis"
    assert tasks["tnews_multi"].label.kind is LabelKind.SET
    assert tasks["tnews_multi"].splits("test") == []
    assert all(t.metrics == ("ACC",) for name, t in tasks.items() if name != "tnews_multi")


def test_clues_folder(raw, out, capsys):
    label = {"label": "0", "label_des": "x"}
    news = [{"label": "108", "sentence": f"上课\t{i}", "keywords": ""} for i in range(2)]
    write(raw / "tnews_public/train.json", *news)
    write(raw / "tnews_public/test.json", {"id": 7, "sentence": "股市", "keywords": "a,b"})
    write(
        raw / "iflytek_public/dev.json", {"label": "118", "label_des": "其他", "sentence": "应用"}
    )
    write(raw / "afqmc/train.json", label | {"sentence1": "甲", "sentence2": "乙"}, "")
    prepare(str(raw), str(out))
    assert rows(out / "tnews_train.tsv") == [["0", "108", "上课 0"], ["1", "108", "上课 1"]]
    assert rows(out / "tnews_test.tsv") == [["7", "", "股市"]]
    assert rows(out / "iflytek_dev.tsv") == [["0", "118", "应用"]]
    assert rows(out / "afqmc_train.tsv") == [["0", "0", "甲", "乙"]]
    printed = capsys.readouterr().out
    assert f"tnews train: from {raw}/tnews_public/train.json" in printed
    assert f"tnews dev: no file in {raw}/tnews_public" in printed
    assert f"csl skipped: no folder csl_public, csl, few_csl in {raw}" in printed


def test_clues_own_rows_go_before_fewclues(raw, out):
    few = {"label": 100, "label_desc": "news_story", "sentence": "少", "id": 3}
    write(raw / "few_tnews/train_few_all.jsonl", few)
    write(raw / "few_tnews/test_public.jsonl", few)
    prepare(str(raw), str(out), "tnews")
    assert rows(out / "tnews_train.tsv") == rows(out / "tnews_test.tsv") == [["3", "100", "少"]]
    write(raw / "tnews_public/train.json", few | {"sentence": "多"})
    prepare(str(raw), str(out), "tnews")
    assert rows(out / "tnews_train.tsv") == [["3", "100", "多"]]


def test_pairs_without_gold_are_left_out_of_train_and_dev_alone(raw, out, capsys):
    pair = {"sentence1": "下雨", "sentence2": "地湿"}
    lines = [pair | {"label": label, "id": i} for i, label in enumerate(("neutral", "-"))]
    for split in ("dev", "test"):
        write(raw / f"ocnli_public/{split}.json", *lines)
    write(raw / "ocnli_public/train.50k.json", *lines)
    prepare(str(raw), str(out), "ocnli")
    gold = [["0", "neutral", "下雨", "地湿"]]
    assert rows(out / "ocnli_train.tsv") == rows(out / "ocnli_dev.tsv") == gold
    assert rows(out / "ocnli_test.tsv") == [*gold, ["1", "", "下雨", "地湿"]]
    assert f"{raw}/ocnli_public/dev.json:2: no gold label" in capsys.readouterr().out


def test_csl_is_keywords_and_abstract(raw, out):
    write(raw / "csl/train.json", {"id": 5, "abst": "摘要", "keyword": ["甲", "乙"], "label": "1"})
    prepare(str(raw), str(out), "csl")
    assert rows(out / "csl_train.tsv") == [["5", "1", "甲 乙", "摘要"]]


def wsc(text: str, noun: str, at: int, pronoun: str, there: int, **more) -> dict:
    spans = {"span1_text": noun, "span1_index": at, "span2_text": pronoun, "span2_index": there}
    return {"target": spans, "idx": 0, "label": "true", "text": text} | more


def test_wsc_marks_both_spans_whichever_comes_first(raw, out):
    write(
        raw / "cluewsc2020_public/dev.json",
        wsc("那舌头跳，它跳", "舌头", 1, "它", 5),
        wsc("它跳，那舌头跳", "舌头", 4, "它", 0, label="false", idx=1),
        wsc("它说它跳", "说", 1, "它", 2, idx=2),  # the second of two, as its index says
    )
    prepare(str(raw), str(out), "wsc")
    assert rows(out / "wsc_dev.tsv") == [
        ["0", "true", "那_舌头_跳，[它]跳"],
        ["1", "false", "[它]跳，那_舌头_跳"],
        ["2", "true", "它_说_[它]跳"],
    ]


def test_wsc_spans_that_stand_elsewhere_are_found_or_left_out(raw, out, capsys):
    write(
        raw / "few_cluewsc/train_few_all.jsonl",
        wsc("那舌头跳，它跳", "舌头", 0, "它", 5),  # off by one, but there once
        wsc("它说舌头，它跳", "舌头", 2, "它", 1),  # there twice
        wsc("那舌头跳，它跳", "手", 1, "它", 5),  # not there
        wsc("他们跳", "他们", 0, "他", 0),  # one in the other
        wsc("它跳，舌头", "舌头", -2, "它", 0),  # a negative index is none from the end
    )
    prepare(str(raw), str(out), "wsc")
    assert [text for _, _, text in rows(out / "wsc_train.tsv")] == [
        "那_舌头_跳，[它]跳",
        "[它]跳，_舌头_",
    ]
    printed = capsys.readouterr().out
    assert "wsc train: 2 spans were not at their index" in printed
    assert "skipped 3 lines" in printed
    assert "jsonl:2: span2 '它' is not at 1 and does not occur exactly once" in printed
    assert "jsonl:3: span1 '手' is not at" in printed
    assert "jsonl:4: the spans overlap" in printed


def test_wsc_record_without_spans(raw, out):
    write(raw / "wsc/dev.json", {"text": "它跳", "label": "true", "target": {"span1_text": "它"}})
    with pytest.raises(UserError, match=r"wsc/dev.json:1: expected target: \{span1_text"):
        prepare(str(raw), str(out), "wsc")


def test_qianyans_columns_with_and_without_a_header(raw, out, capsys):
    write(raw / "lcqmc/train.tsv", "text_a\ttext_b\tlabel", '他说"\t他说\t1', "甲\t乙")
    write(raw / "lcqmc/test.tsv", "text_a\ttext_b", "甲\t乙")
    write(raw / "bq_corpus/train.tsv", "甲\t乙\t0", "丙\t丁", "甲\t乙\t丙\t丁\t0")
    write(raw / "bq_corpus/test.tsv", "甲\t乙", "")
    write(raw / "paws-x-zh/train.tsv", "id\tsentence1\tsentence2\tlabel", "9\t甲\t乙\t1")
    write(raw / "paws-x-zh/dev.tsv", "9\t甲\t乙\t1")
    write(raw / "paws-x-zh/test.tsv", "甲\t乙\t1")
    prepare(str(raw), str(out))
    assert rows(out / "lcqmc_train.tsv") == [["0", "1", '他说"', "他说"]]
    assert rows(out / "lcqmc_test.tsv") == rows(out / "bq_test.tsv") == [["0", "", "甲", "乙"]]
    assert rows(out / "bq_train.tsv") == [["0", "0", "甲", "乙"]]
    assert (
        rows(out / "paws-x_train.tsv") == rows(out / "paws-x_dev.tsv") == [["9", "1", "甲", "乙"]]
    )
    assert rows(out / "paws-x_test.tsv") == [["0", "1", "甲", "乙"]]
    printed = capsys.readouterr().out
    assert "lcqmc/train.tsv:3: 2 columns instead of 3" in printed
    assert "bq_corpus/train.tsv:2: no gold label" in printed
    assert "bq_corpus/train.tsv:3: 5 columns instead of 2, 3 or 4" in printed


def test_csv_with_quoted_commas(raw, out, capsys):
    lines = ('"花呗,还款",怎么"还",1', "甲,乙", '"他说""好""",乙,0')
    write(
        raw / "afqmc/train.csv",
        "sentence1,sentence2,label",
        lines[0].replace('怎么"还"', "怎么还"),
        *lines[1:],
    )
    prepare(str(raw), str(out), "afqmc")
    assert rows(out / "afqmc_train.tsv") == [
        ["0", "1", "花呗,还款", "怎么还"],
        ["1", "0", '他说"好"', "乙"],
    ]
    assert "afqmc/train.csv:3: 2 columns instead of 3" in capsys.readouterr().out
    write(raw / "afqmc/dev.csv", "sentence1,sentence2,label", '"甲"乙,丙,1')
    with pytest.raises(UserError, match=r"afqmc/dev.csv:2: not CSV"):
        prepare(str(raw), str(out), "afqmc")


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("tnews/dev.json", '{"label": "105", "sentence": "x"}', r"dev.json:1: label '105' is not"),
        ("tnews/dev.json", '{"label": "100", "text": "x"}', r"dev.json:1: no column 'sentence'"),
        ("tnews/dev.json", '{"sentence": "x"}', r"dev.json:1: no column 'label'; found 'sentence'"),
        (
            "tnews/dev.json",
            '{"label": null, "sentence": "x"}',
            r"no rows in .*; 1 lines were skipped",
        ),
        ("tnews/dev.json", "100 x", r"dev.json:1: not JSON"),
        ("tnews/dev.json", "[1]", r"dev.json:1: expected a JSON object"),
        ("lcqmc/train.tsv", "q1\tq2\tlabel", r"train.tsv:1: label 'label' is not a label of"),
    ],
)
def test_file_that_is_not_as_the_benchmarks(raw, out, file, line, message):
    write(raw / file, line)
    with pytest.raises(UserError, match=message):
        prepare(str(raw), str(out))
    assert not out.exists()


def test_tnews_multi_pairs_headlines_and_unites_their_labels(raw, out):
    sections = {f"标题{i}": str(100 + i % 3) for i in range(9)}
    records = [{"label": s, "sentence": t, "id": i} for i, (t, s) in enumerate(sections.items())]
    write(raw / "tnews/train.json", *records)
    prepare(str(raw), str(out), "tnews_multi")
    made = rows(out / "tnews_multi_train.tsv")
    used = [title for _, _, text in made for title in text.split()]
    assert len(made) == 4
    assert len(set(used)) == 8  # each once, the odd one in no pair
    for uid, labels, text in made:
        assert uid.split("+") == [title.removeprefix("标题") for title in text.split()]
        assert set(labels.split(",")) == {sections[title] for title in text.split()}
        assert labels.split(",") == sorted(set(labels.split(",")))
    assert used != sorted(used)
    agree = sorted(pair_up([("a", "100", "x"), ("b", "100", "y")]))
    assert [labels for _, labels, _ in agree] == ["100"]
    prepare(str(raw), str(out / "again"), "tnews_multi")
    assert rows(out / "again" / "tnews_multi_train.tsv") == made


def test_hub_rows_equal_the_downloads(out, monkeypatch):
    datasets = pytest.importorskip("datasets")
    target = {"span1_text": "舌头", "span2_text": "它", "span1_index": 0, "span2_index": 3}
    columns = {
        ("clue/clue", "tnews"): ({"sentence": ["甲"]}, ["100", "101"]),
        ("clue/clue", "csl"): (
            {"abst": ["摘要"], "keyword": [["甲", "乙"]], "corpus_id": [9]},
            ["0", "1"],
        ),
        ("clue/clue", "cluewsc2020"): (
            {"text": ["舌头，它"], "target": [target]},
            ["true", "false"],
        ),
        ("C-MTEB/LCQMC", None): ({"sentence1": ["甲"], "sentence2": ["乙"]}, None),
    }

    def fake_load(name: str, config: str | None, revision: str | None = None):
        texts, names = columns[name, config]
        if names is None:
            split = datasets.Dataset.from_dict(texts | {"score": [1]})
            return datasets.DatasetDict(train=split, validation=split, test=split)
        splits = {}
        for split, label in (("train", 1), ("validation", 1), ("test", -1)):
            rows = datasets.Dataset.from_dict(texts | {"label": [label], "idx": [4]})
            splits[split] = rows.cast_column("label", datasets.ClassLabel(names=names))
        return datasets.DatasetDict(splits)

    monkeypatch.setattr(datasets, "load_dataset", fake_load)
    prepare("hub", str(out), "tnews,csl,wsc,lcqmc")
    assert rows(out / "tnews_dev.tsv") == [["4", "101", "甲"]]
    assert rows(out / "tnews_test.tsv") == [["4", "", "甲"]]
    assert rows(out / "csl_train.tsv") == [["4", "1", "甲 乙", "摘要"]]
    assert rows(out / "wsc_train.tsv") == [["4", "false", "_舌头_，[它]"]]
    assert rows(out / "lcqmc_test.tsv") == [["0", "1", "甲", "乙"]]


@pytest.mark.parametrize("name", ["single", "multitask", "minilm"])
def test_run_config_parses(name):
    path = CLUE / f"{name}.yml"
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(RunConfig)
    parser.add_argument("--config", action="config")
    config = parser.instantiate(parser.parse_args([f"--config={path}"]))
    tasks = load_tasks(CLUE.parent.parent / config.data.tasks)
    assert config.data.use
    assert set(config.data.use) <= set(tasks)
    assert path.read_text(encoding="utf-8").startswith("# ")
