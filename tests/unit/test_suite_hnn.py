"""experiments/hnn: WNLI's pairs and HNN's files in, texts with candidates out."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.registries import FORMATS
from experiments.hnn import prepare as hnn
from experiments.hnn.prepare import prepare
from mt_dnn.config.parser import parse_config
from mt_dnn.task_types import load_tasks
from tests.support.files import rows, write

HNN = Path(hnn.__file__).parent
PAIR = "index\tsentence1\tsentence2"
CUP, BOX = "The cup fell off the shelf because it was wet.", "The box is full, so it is shut."


@pytest.fixture
def tasks():
    return load_tasks(HNN / "tasks.yml")


@pytest.fixture
def wnli(raw: Path) -> Path:
    train = [
        f"0\t{CUP}\tThe cup was wet.\t1",
        f"1\t{BOX}\tThe lid is shut.\t0",  # no phrase of the text
        f"2\t{BOX}\tThe box is shut.\t1",  # alone
        "3\tAnn saw Bea, and she left.\tBea left.\t0",
        "4\tAnn saw Bea, and she left.\tAnn left.\t1",
    ]
    write(raw / "WNLI/train.tsv", PAIR + "\tlabel", *train)
    write(raw / "WNLI/dev.tsv", PAIR + "\tlabel", f"0\t{CUP}\tThe shelf was wet.\t0")
    test = [f"{i}\t{BOX}\t{who} is shut." for i, who in ((4, "The box"), (5, "Full"))]
    write(raw / "WNLI/test.tsv", PAIR, *test)
    return raw


def test_the_pairs_of_a_text_are_its_candidates(wnli, out, capsys):
    prepare(str(wnli), str(out), "wnli")
    ann = ["3", "", "", "1,0", "Ann saw Bea, and [she] left.", "Ann", "Bea"]
    assert rows(out / "wnli_train.tsv") == [ann]
    cup = CUP.replace("it was", "[it] was")
    assert rows(out / "wnli_dev.tsv") == [["0", "", "", "1,0", cup, "The cup", "The shelf"]]
    box = BOX.replace(" it ", " [it] ")
    assert rows(out / "wnli_test.tsv") == [["4", "", "", "", box, "Full", "The box"]]
    printed = capsys.readouterr().out
    assert "8 pairs; left out: 1 pairs whose pronoun or candidate is not found" in printed
    assert "1 texts with one candidate" in printed


def test_no_text_of_dev_is_in_train(wnli, out):
    """The train pair of the cup would disclose the label of its dev pair."""
    prepare(str(wnli), str(out), "wnli")
    texts = [{row[4] for row in rows(out / f"wnli_{split}.tsv")} for split in ("train", "dev")]
    assert not texts[0] & texts[1]


def test_texts_of_wscr_and_of_winograd_schemas(raw, out, tasks):
    header = "sentence\tpronoun_idx\tpronoun\tcoref\tcandidates"
    train = [
        "The sun beat the rain, it won.\t23\tit\tthe sun\tThe sun,the rain",
        "Nobody came.\t3\tit\tx\tx,y",
        "A dog ran, it bit.\t11\tit\tcat\tA dog,a log",
    ]
    write(raw / "DPRD/train_annotated.tsv", header, *train)
    header = "left\tpron\tright\tcandidates\tselected"
    schemas = ["The wart on the leg itched,  and\tit\t, too, went.\twart,leg,donkey\t1"]
    write(raw / "WSC273/pdp60.tsv", header, *schemas, "\tHe\tran [off].\tx,y\t0")
    prepare(str(raw), str(out))
    assert rows(out / "wscr_train.tsv") == [
        ["0", "", "", "1,0", "The sun beat the rain, [it] won.", "The sun", "the rain"]
    ]
    (found,) = rows(out / "pdp60_test.tsv")
    text = "The wart on the leg itched, and [it], too, went."
    assert found == ["0", "", "", "0,1,0", text, "wart", "leg", "donkey"]
    columns = dict(zip(FORMATS.get("PronounChoice").columns[:5], found, strict=False))
    row = Row(columns | {"hypothesis": found[5:]}, "a:1")
    example = FORMATS.get("PronounChoice").parse(row, tasks["pdp60"])
    assert (example.label, example.extras["answer"]) == ([0, 1, 0], ["leg"])


def test_what_is_left_out_is_listed(raw, out, capsys):
    header = "sentence\tpronoun_idx\tpronoun\tcoref\tcandidates"
    kept = "A dog ran, it bit.\t11\tit\ta dog\tA dog,a log"
    wrong = [
        "A b.\t0\tit\tx\tx,y",
        "A it.\t2\tit\tz\tx,y",
        "A it.\t2\tit\tx\tx",
        "[A] it.\t4\tit\tx\tx,y",
    ]
    write(raw / "DPRD/train_annotated.tsv", header, kept, *wrong)
    prepare(str(raw), str(out), "wscr")
    printed = capsys.readouterr().out
    assert "wscr skipped 4 lines" in printed
    for line, reason in ((3, "'it' is not at 0"), (4, "not one right"), (5, "not one right")):
        assert f"train_annotated.tsv:{line}: {reason}" in printed
    assert "train_annotated.tsv:6: the text has brackets" in printed


def test_mistakes_of_the_user(raw, out):
    with pytest.raises(UserError, match="no such folder"):
        prepare(str(raw / "none"), str(out))
    write(raw / "WSC273/wsc273.tsv", "left\tpron", "a\tb")
    with pytest.raises(UserError, match=r"wsc273.tsv: no column right, candidates, selected"):
        prepare(str(raw), str(out), "wsc273")
    with pytest.raises(UserError, match="prepare wnli"):
        prepare(str(raw), str(out), "wnli_cloze")
    write(raw / "WSC273/wsc273.tsv", "left\tpron\tright\tcandidates\tselected", "a\tit\tb\tx,y\tB")
    with pytest.raises(UserError, match=r"wsc273.tsv:2: column 'selected' is 'B', no whole number"):
        prepare(str(raw), str(out), "wsc273")


def test_tasks_and_recipes(tasks):
    assert {task.head_name for name, task in tasks.items() if name in hnn.FILES} == {"wscr"}
    assert tasks["wnli_scored"].head_name == "wscr"
    assert [tasks[f"wnli_{part}"].options["part"] for part in ("mlm", "ssm")] == ["mlm", "ssm"]
    assert tasks["wnli_cloze"].task_type == "ClozeChoice"
    for recipe in ("hnn", "minilm"):
        config = parse_config(["--config", str(HNN / f"{recipe}.yml")])
        assert set(config.data.use) <= set(tasks)
