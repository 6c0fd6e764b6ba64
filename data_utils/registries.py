"""The registries of data formats, metrics and mixing strategies.

To add a built-in kind, write its file and add a line here. Code outside of this project registers its
kinds with ``@FORMATS.register("name")`` and is named by the setting ``plugins``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_utils.registry import Registry

if TYPE_CHECKING:  # importing this module must stay cheap
    from data_utils.formats.base import DataFormat
    from data_utils.metrics.base import Metric
    from data_utils.mixing import Mixing

FORMATS: Registry[DataFormat] = Registry(
    "data_format",
    {
        "ClozeChoice": "data_utils.formats.cloze_choice:ClozeChoice",
        "MLM": "data_utils.formats.mlm:MLM",
        "MRC": "data_utils.formats.mrc:MRC",
        "PremiseAndMultiHypothesis": (
            "data_utils.formats.premise_and_multi_hypothesis:PremiseAndMultiHypothesis"
        ),
        "PremiseAndOneHypothesis": (
            "data_utils.formats.premise_and_one_hypothesis:PremiseAndOneHypothesis"
        ),
        "PremiseOnly": "data_utils.formats.premise_only:PremiseOnly",
        "PronounChoice": "data_utils.formats.pronoun_choice:PronounChoice",
        "Sequence": "data_utils.formats.sequence:Sequence",
    },
    aliases={"Seqence": "Sequence", "CLUE_SEQ": "Sequence", "CLUE_SPAN": "MRC"}
    | {"CLUE_CLASSIFICATION": "PremiseOnly"},
    adapt="data_utils.formats.base:create_format",
)

METRICS: Registry[Metric] = Registry(
    "metric",
    {
        "ACC": "data_utils.metrics.classes:accuracy",
        "F1": "data_utils.metrics.classes:f1",
        "F1MAC": "data_utils.metrics.classes:f1_macro",
        "F1MIC": "data_utils.metrics.classes:f1_micro",
        "MCC": "data_utils.metrics.classes:matthews",
        "CMAT": "data_utils.metrics.classes:confusion",
        "Pearson": "data_utils.metrics.correlations:pearson",
        "Spearman": "data_utils.metrics.correlations:spearman",
        "AUC": "data_utils.metrics.probabilities:auc",
        "ECE": "data_utils.metrics.probabilities:calibration_error",
        "Perplexity": "data_utils.metrics.probabilities:perplexity",
        "SeqEval": "data_utils.metrics.entities:entity_f1",
        "SeqEvalP": "data_utils.metrics.entities:entity_precision",
        "SeqEvalR": "data_utils.metrics.entities:entity_recall",
        "SeqEvalList": "data_utils.metrics.entities:entity_f1_by_sentence",
        "EM": "data_utils.metrics.answers:exact_match",
        "AnswerF1": "data_utils.metrics.answers:answer_f1",
        "ReCoRDEM": "data_utils.metrics.answers:exact_match",
        "ReCoRDF1": "data_utils.metrics.answers:answer_f1",
        "CMRCEM": "data_utils.metrics.answers:cmrc_exact_match",
        "CMRCF1": "data_utils.metrics.answers:cmrc_f1",
        "MultiRCF1a": "data_utils.metrics.questions:options_f1",
        "MultiRCEM": "data_utils.metrics.questions:all_options_right",
        "Top1": "data_utils.metrics.ranking:first_right",
        "MRR": "data_utils.metrics.ranking:mean_reciprocal_rank",
        "GenderParity": "data_utils.metrics.minimal_pairs:same_prediction",
    },
    aliases={"EmF1": "AnswerF1", "EmF12": "AnswerF1"},
    adapt="data_utils.metrics.base:create_metric",
)

MIXINGS: Registry[Mixing] = Registry(
    "mixing strategy",
    {
        name: f"data_utils.mixing:{name}"
        for name in (
            "proportional",
            "ratio",
            "temperature",
            "sqrt",
            "annealed",
            "capped",
            "uniform",
            "rates",
        )
    },
)
