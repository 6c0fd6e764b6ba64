"""Data formats and task types agree on what a label is; classes that leave a part undefined are refused."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from data_utils.errors import UserError
from data_utils.formats import DataFormat
from data_utils.labels import CLASS_PER_EXAMPLE, LabelKind, LabelSpec, LabelUnit
from data_utils.registries import FORMATS
from mt_dnn.registries import TASK_TYPES
from mt_dnn.task_types import TaskType
from tests.support.task_files import refused

pytestmark = pytest.mark.usefixtures("registries")

ONE_CLASS = ("Regression",)
NO_LABELS = ("MaskLM", "Regression", "Span", "SpanYN")
MISMATCHES = [
    (
        ("PremiseAndMultiHypothesis", "Classification"),
        "its rows hold relevance per candidate, and Classification needs class per example.",
        "Choices: PremiseAndOneHypothesis, PremiseOnly.",
        "Task types for PremiseAndMultiHypothesis: MultipleChoice, Ranking.",
    ),
    (
        ("PremiseOnly", "SequenceLabeling"),
        "its rows hold class per example or number per example or set of classes per example or text "
        "per example, and SequenceLabeling needs class per word.",
        "Choices: Sequence.",
        "Task types for PremiseOnly: Classification, MultiLabel, Regression, SequenceGeneration.",
    ),
    (
        ("ClozeChoice", "Span"),
        "its rows hold answer per candidate, and Span needs answer per window.",
        "Choices: MRC.",
        "Task types for ClozeChoice: ClozeChoice.",
    ),
    (
        ("MRC", "MaskLM"),
        "its rows hold answer per window, and MaskLM needs token per window.",
        "Choices: MLM.",
        "Task types for MRC: Span, SpanYN.",
    ),
]


METRICS = {
    "Regression": "Pearson",
    "MaskLM": "Perplexity",
    **dict.fromkeys(("Span", "SpanYN", "ClozeChoice", "HNN"), "EM"),
}


def entry(data_format: str, task_type: str) -> str:
    """A task file of one task; with what the type requires besides its format."""
    keys = {
        "data_format": data_format,
        "task_type": task_type,
        "metric_meta": f"[{METRICS.get(task_type, 'ACC')}]",
    }
    if task_type in ONE_CLASS:
        keys["n_class"] = "1"
    elif task_type not in NO_LABELS:
        keys["labels"] = "[a, b]"
    return "t:\n" + "".join(f"  {key}: {value}\n" for key, value in keys.items())


@pytest.mark.parametrize(
    ("data_format", "task_type"), list(product(FORMATS.names(), TASK_TYPES.names()))
)
def test_a_task_loads_where_its_rows_can_hold_the_label_of_its_type(load, data_format, task_type):
    needed = TASK_TYPES.get(task_type).label
    if needed in FORMATS.get(data_format).labels:
        assert load(entry(data_format, task_type))["t"].label == needed
    else:
        refused(load, entry(data_format, task_type), "task 't': data_format", "does not fit")


@pytest.mark.parametrize(("pair", "facts", "formats", "types"), MISMATCHES)
def test_a_mismatch_names_both_labels_and_the_choices(load, pair, facts, formats, types):
    data_format, task_type = pair
    fit = f"data_format: {data_format!r} does not fit task_type {task_type}: {facts}"
    refused(load, entry(*pair), fit, formats, types)


def test_the_kind_counts_and_not_the_unit_alone():
    candidate = {LabelSpec(kind, LabelUnit.CANDIDATE) for kind in LabelKind}
    held = set(FORMATS.get("ClozeChoice").labels)
    assert held < candidate
    assert not held & set(FORMATS.get("PremiseAndMultiHypothesis").labels)


def test_a_task_file_cannot_set_the_label(load):
    with pytest.raises(UserError, match="unknown key 'label'"):
        load(entry("PremiseOnly", "Classification") + "  label: class\n")


# Classes that leave a part undefined.

PARTS: dict[str, Any] = {
    "label": CLASS_PER_EXAMPLE,
    "build_head": lambda self, encoder, config: None,
    "loss": lambda self, logits, batch: None,
    "divergence": lambda self, p_logits, q_logits, batch, *, name=None: None,
    "decode": lambda self, logits, batch: [],
}


def type_with(**parts: Any) -> type:
    return type("Mine", (TaskType,), parts)


def test_a_complete_type_is_registered_and_instantiated(load):
    mine = TASK_TYPES.register("Mine")(type_with(**PARTS))
    task = load(entry("PremiseOnly", "Mine"))["t"]
    assert mine(task).task is task


def test_a_type_may_define_no_divergence(load):
    mine = TASK_TYPES.register("Mine")(type_with(**PARTS | {"divergence": None}))
    assert mine(load(entry("PremiseOnly", "Mine"))["t"]).divergence is None


@pytest.mark.parametrize("missing", PARTS)
def test_a_type_that_lacks_a_part_is_not_registered(missing):
    mine = type_with(**{name: part for name, part in PARTS.items() if name != missing})
    with pytest.raises(TypeError, match=f"task_type 'Mine': Mine does not define {missing}$"):
        TASK_TYPES.register("Mine")(mine)
    assert "Mine" not in TASK_TYPES


@pytest.mark.parametrize("missing", [name for name in PARTS if name != "label"])
def test_a_type_that_lacks_a_method_is_not_instantiated(missing):
    mine = type_with(**{name: part for name, part in PARTS.items() if name != missing})
    with pytest.raises(TypeError, match=rf"abstract.*{missing}"):
        mine(None)


def test_what_is_no_task_type_is_not_registered():
    for entry in (type("Mine", (), PARTS), type_with(**PARTS)(None)):
        with pytest.raises(TypeError, match=r"task_type 'Mine': .* does not derive from TaskType"):
            TASK_TYPES.register("Mine")(entry)
    assert "Mine" not in TASK_TYPES


def test_every_format_and_type_derives_from_its_base():
    assert all(issubclass(TASK_TYPES.get(name), TaskType) for name in TASK_TYPES.names())
    assert all(isinstance(FORMATS.get(name), DataFormat) for name in FORMATS.names())


def test_a_format_that_lacks_a_part_is_refused():
    methods = {"parse": lambda *_: None, "encode": lambda *_, **__: {}}
    with pytest.raises(TypeError, match=r"abstract.*parse"):
        type("Mine", (DataFormat,), {"encode": methods["encode"]})()
    columns = {"columns": ("uid", "text")}
    lacking = "data_format 'Mine': Mine does not define labels, text_columns"
    with pytest.raises(TypeError, match=lacking):
        FORMATS.register("Mine")(type("Mine", (DataFormat,), methods | columns))
    with pytest.raises(TypeError, match="data_format 'Mine': Mine does not define parse, labels"):
        FORMATS.register("Mine")(
            type("Mine", (DataFormat,), {"encode": methods["encode"]} | columns)
        )
    with pytest.raises(TypeError, match=r"data_format 'Mine': .* does not derive from DataFormat"):
        FORMATS.register("Mine")(type("Mine", (), methods))
    assert "Mine" not in FORMATS
