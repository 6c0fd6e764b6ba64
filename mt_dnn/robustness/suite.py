"""Measure the robustness of finished runs, all on the same perturbed texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from data_utils.encoded_rows import EncodedRows
from data_utils.errors import UserError
from data_utils.formats import Example
from data_utils.task_def import TaskDef
from mt_dnn.inference.evaluate import Evaluation, evaluate_rows
from mt_dnn.inference.predictor import Predictor
from mt_dnn.model import MTDNN
from mt_dnn.registries import CHALLENGES, PERTURBATIONS
from mt_dnn.reports.robustness import ATTACK, NOISE
from mt_dnn.robustness.attack import Attack, attack_rows, embedding_size, has_divergence
from mt_dnn.robustness.challenge import score_challenge
from mt_dnn.robustness.measure import Measured, measured
from mt_dnn.robustness.perturbation import Perturbation, perturb, refusal
from mt_dnn.robustness.run_data import FinishedRun, sample
from mt_dnn.robustness.settings import Settings

Log = Callable[[str], Any]
DIFFERS = 0.005
"""A clean score that differs by more from that in scores.json is reported."""


def common_datasets(runs: Sequence[FinishedRun], settings: Settings) -> list[str]:
    """Return the data sets to measure: the named ones, or all dev sets that the runs have in common.

    Raises:
        UserError: a run has no scores of a named one, or the runs have none in common.
    """
    if settings.datasets:
        for run in runs:
            run.check_datasets(list(settings.datasets))
        return list(settings.datasets)
    found = [name for name in runs[0].dev_sets if all(name in run.dev_sets for run in runs[1:])]
    if not found:
        names = " and ".join(f"{run.folder} ({', '.join(run.dev_sets) or 'none'})" for run in runs)
        raise UserError(f"the runs have no dev set with scores in common: {names}")
    return found


class Suite:
    """Measures runs one after the other, and holds what has to be the same for all of them.

    Args:
        settings: what is measured.
        datasets: names of data sets that all runs have.
        log: called with a line about each part, and about what does not fit.

    Example::

        suite = Suite(Settings(radii=()), ["sst2"], print)
        record = suite.measure(read_finished_run("runs/a"))
    """

    def __init__(self, settings: Settings, datasets: Sequence[str], log: Log) -> None:
        self.settings = settings
        self.datasets = list(datasets)
        self.log = log
        self._texts: dict[str, tuple[str, list[tuple[str, tuple[str, ...]]]]] = {}
        self._radii: dict[str, list[float]] = {}
        self._noted: set[str] = set()

    def measure(self, run: FinishedRun, plugins: tuple[str, ...] = ()) -> dict[str, Any]:
        """Measure one run.

        Returns:
            The content of robustness.json; docs/robustness.md describes it.

        Raises:
            UserError: its rows are gone or differ from those of a run before it, a named perturbation does not
                fit a data set, or a challenge set fits no task.
        """
        predictor, model = run.load(plugins)
        settings = self.settings
        record: dict[str, Any] = {"seed": settings.seed, "datasets": {}, "challenges": {}}
        if settings.task is not None:
            predictor.task(settings.task)  # an unknown one is an error
        # Read first, because measuring takes long.
        challenges = [
            challenge
            for kind, path in settings.challenges
            for challenge in CHALLENGES.get(kind)(path, predictor.tasks, settings.task)
        ]
        for dataset in self.datasets:
            task = predictor.task(run.scored.tasks[dataset].name)
            examples = run.examples(dataset, task)
            self._check_same(run, dataset, examples)
            data = _Data(self, run, predictor, model, task, examples)
            record["datasets"][dataset] = data.measure(dataset)
        for challenge in challenges:
            self.log(f"{run.folder}: {challenge.name}, {len(challenge.rows)} rows")
            record["challenges"][challenge.name] = score_challenge(
                predictor, challenge, run.eval_size
            )
        return record

    def note(self, line: str) -> None:
        """Log a line once."""
        if line not in self._noted:
            self._noted.add(line)
            self.log(line)

    def radii(self, dataset: str, size: float) -> list[float]:
        """Return the radii for a data set; relative ones are shares of ``size`` of the first run."""
        if dataset not in self._radii:
            self._radii[dataset] = [
                radius.value * size if radius.relative else radius.value
                for radius in self.settings.radii
            ]
        return self._radii[dataset]

    def _check_same(self, run: FinishedRun, dataset: str, examples: list[Example]) -> None:
        texts = [(example.uid, example.texts) for example in examples]
        first, known = self._texts.setdefault(dataset, (str(run.folder), texts))
        if texts != known:
            raise UserError(
                f"{first} and {run.folder} have different rows of {dataset}, so their scores cannot be compared; "
                f"measure them one by one"
            )


class _Data:
    """One data set of one run."""

    def __init__(
        self,
        suite: Suite,
        run: FinishedRun,
        predictor: Predictor,
        model: MTDNN,
        task: TaskDef,
        examples: list[Example],
    ) -> None:
        self.suite, self.run = suite, run
        self.predictor, self.model = predictor, model
        self.task, self.examples = task, examples
        self.kind = model.task_types[task.name]

    def measure(self, dataset: str) -> dict[str, Any]:
        log, run = self.suite.log, self.run
        chosen = self._perturbations(dataset)
        log(f"{run.folder}: {dataset}, {len(self.examples)} rows, {len(chosen)} perturbations")
        clean = self._measured(self.examples)
        self._check_clean(dataset, clean)
        record: dict[str, Any] = {
            "task": self.task.name,
            "metric": self.task.metric_for_best,
            "rows": len(self.examples),
            "clean": clean.record(),
            "perturbations": {own.name: self._perturbed(own) for own in chosen},
        }
        if attack := self._attack(dataset):
            record["attack"] = attack
        return record

    def _encode(self, examples: list[Example]) -> EncodedRows:
        return EncodedRows.from_examples(
            examples, self.task, self.predictor.tokenizer, max_seq_len=self.predictor.max_seq_len
        )

    def _measured(self, examples: list[Example]) -> Measured:
        found: Evaluation = evaluate_rows(
            self.model, self._encode(examples), batch_size=self.run.eval_size
        )
        return measured(self.kind, found.predictions, found.metrics, found.loss)

    def _check_clean(self, dataset: str, clean: Measured) -> None:
        known = self.run.scored.scores.scores[dataset]
        for name, value in clean.metrics.items():
            stored = known.get(name)  # no number for a matrix, and NaN for null
            if stored is not None and abs(stored - value) > DIFFERS:
                self.suite.note(
                    f"{self.run.folder}: {dataset} {name} is {value:.2f}, and {stored:.2f} in scores.json: the "
                    f"rows have changed since, or the run computed in another precision"
                )

    def _perturbations(self, dataset: str) -> list[Perturbation]:
        """Return the perturbations to apply, with their rates.

        Raises:
            UserError: a named one does not fit the rows.
        """
        named = self.suite.settings.perturbations
        found = []
        for name in PERTURBATIONS.names() if named is None else named:
            own = PERTURBATIONS.get(name)
            if reason := refusal(own, self.task):
                if named is not None:
                    raise UserError(f"--perturb: {name} does not fit {dataset}: {reason}")
                self.suite.note(f"{dataset}: without {name}: {reason}")
                continue
            rate = None if named is None else named[name]
            given = {} if rate is None else {"rate": rate}
            found.append(own.with_options(f"--perturb: {name}", **given))
        return found

    def _perturbed(self, own: Perturbation) -> dict[str, Any]:
        seed = self.suite.settings.seed
        changed = [perturb(example, own, self.task, seed=seed) for example in self.examples]
        pairs = zip(self.examples, changed, strict=True)
        share = sum(a.texts != b.texts for a, b in pairs) / len(changed)
        record = {"options": own.options, "changed": 100.0 * share}
        return record | self._measured(changed).record()

    def _attack(self, dataset: str) -> dict[str, Any] | None:
        settings, model = self.suite.settings, self.model
        if not settings.radii:
            return None
        if not settings.on_loss and not has_divergence(self.kind):
            self.suite.note(
                f"{dataset}: without an attack: task type {self.task.task_type} has no divergence; --on_loss "
                f"attacks its loss"
            )
            return None
        chosen = sample(self.examples, settings.attack_rows, settings.seed)
        rows, attacked = self._encode(chosen), len(chosen)
        size = embedding_size(model, rows, self.run.eval_size)
        attack = Attack(settings.steps, settings.on_loss, settings.seed)
        radii = [0.0, *sorted(r for r in set(self.suite.radii(dataset, size)) if r)]
        self.suite.log(
            f"{self.run.folder}: {dataset}, attack on {attacked} rows at {len(radii)} radii"
        )
        points = []
        for radius in radii:
            found = attack_rows(model, rows, radius, attack, batch_size=self.run.eval_size)
            points.append(
                {"radius": radius, "relative": radius / size}
                | {name: found[name].record() for name in (ATTACK, NOISE)}
            )
        return {
            "rows": attacked,
            "steps": settings.steps,
            "on_loss": settings.on_loss,
            "embedding_rms": size,
            "points": points,
        }
