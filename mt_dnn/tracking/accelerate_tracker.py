"""One adapter to the trackers of accelerate: W&B, MLflow, Trackio and others.

accelerate has a class for each backend with one interface (``accelerate.tracking.GeneralTracker``).
:class:`AccelerateTracker` calls it; the subclasses state what differs between backends.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from data_utils.errors import UserError
from data_utils.files import atomic_file
from mt_dnn.tracking.tracker import Tracker
from mt_dnn.tracking.values import numbers, pixels, plain_setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RUN_IDS = "trackers.json"
"""File in the run directory: {tracker: the backend's id of the run}."""


class AccelerateTracker(Tracker):
    """Scalars, timings, settings and pictures of a run in a backend that accelerate supports.

    Of the values of :meth:`scalars` and :meth:`timings`, only the numbers are logged; NaN and infinity
    are passed on. Of the settings, lists become strings. Texts are not logged, because accelerate's interface
    has no place for them.

    A resumed run continues the backend's run where the subclass can find it (:attr:`resumes`);
    otherwise it starts a new one. What was logged between the checkpoint and the stop is not removed
    from the backend.

    Args:
        run_dir: folder of the run.
        project: project (W&B, Trackio, Comet, ...) or experiment (MLflow, Aim) that the run belongs to.
            Defaults to the name of the folder that contains the run.
        name: the run's name in the backend. Defaults to the name of the run's folder.
        options: arguments of accelerate's class, which passes most of them to the backend, for example
            ``wandb.init``.

    Raises:
        UserError: the backend's package is not installed.
    """

    backend: ClassVar[str]
    """accelerate's name of the backend, and ours."""
    package: ClassVar[str]
    """Package on PyPI."""
    module: ClassVar[str]
    """Module of the package."""
    resumes: ClassVar[bool] = False
    """Whether a resumed run continues the backend's run."""
    settings_are_final: ClassVar[bool] = False
    """Whether the backend refuses other settings for a run that continues; it keeps the first ones."""

    def __init__(
        self,
        run_dir: str | Path,
        *,
        project: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(run_dir)
        place = self.run_dir.resolve()
        self.project, self.name = project or place.parent.name, name or place.name
        self.options = options
        self.tracker: Any = None
        """accelerate's tracker, after :meth:`start`. Its ``tracker`` is the backend's own object."""
        self._resumed = False
        if not _installed(self.module):
            raise UserError(
                f"trackers: {self.backend} needs the package {self.package}, which is not installed; "
                f"run: pip install {self.package}"
            )

    def arguments(self) -> tuple[str, dict[str, Any]]:
        """First positional argument and keyword arguments of accelerate's class."""
        return self.project, self.options

    def resume_arguments(self, run_id: str | None) -> dict[str, Any] | None:
        """Arguments that continue the backend's run, or None to start a new one.

        Args:
            run_id: what :meth:`run_id` returned when the run started; None if it is not known.
        """
        return None

    def run_id(self) -> str | None:
        """The backend's id of the run, where a resumed run needs it."""
        return None

    def start(self, config: Mapping[str, Any]) -> None:
        """Start or continue the backend's run, and store the settings.

        Raises:
            UserError: the backend refuses its options, or cannot start, for example without a login.
        """
        from accelerate.state import PartialState
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        PartialState()  # accelerate's loggers need it; the Accelerator of a run has made it already
        project, options = self.arguments()
        again = (
            self.resume_arguments(self._known_ids().get(self.backend)) if self._resumed else None
        )
        try:
            self.tracker = LOGGER_TYPE_TO_CLASS[self.backend](project, **options | (again or {}))
            self.tracker.start()
            self.started()
            if again is None or not self.settings_are_final:
                self.tracker.store_init_configuration(
                    {
                        name: None if value is None else plain_setting(value)
                        for name, value in config.items()
                    }
                )
        except Exception as error:  # each backend has its own kinds
            raise UserError(
                f"tracker {self.backend} did not start: {type(error).__name__}: {error}; see "
                f"tracker_options.{self.backend}, or leave {self.backend} out of trackers"
            ) from error
        self._remember_id()

    def started(self) -> None:
        """Called when the backend's run has started, before the settings are stored."""

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        if found := numbers(values):
            self.tracker.log(found, step=step)

    def timings(self, step: int, values: Mapping[str, Any]) -> None:
        self.scalars(step, values)

    def images(self, step: int, figures: Mapping[str, Figure]) -> None:
        if self.takes_images:
            for tag, figure in figures.items():
                self.tracker.log_images({tag: [pixels(figure)]}, step=step)

    def truncate_after(self, update: int) -> None:
        """Continue the backend's run in :meth:`start`. Nothing is removed from the backend."""
        self._resumed = True

    def close(self) -> None:
        """Finish the backend's run."""
        if self.tracker is not None:
            self.tracker.finish()
            self.tracker = None

    def _known_ids(self) -> dict[str, str]:
        try:
            found = json.loads((self.run_dir / RUN_IDS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # a new run in the backend, rather than none
        return found if isinstance(found, dict) else {}

    def _remember_id(self) -> None:
        if (run_id := self.run_id()) is not None:
            with atomic_file(self.run_dir / RUN_IDS) as stream:
                json.dump(self._known_ids() | {self.backend: run_id}, stream, indent=2)
                stream.write("\n")


def _installed(module: str) -> bool:
    return module in sys.modules or find_spec(module) is not None


class Wandb(AccelerateTracker):
    """Weights & Biases, with pictures. Options: those of wandb.init, such as mode: offline."""

    backend, package, module = "wandb", "wandb", "wandb"
    takes_images, resumes = True, True

    def arguments(self) -> tuple[str, dict[str, Any]]:
        return self.project, {"name": self.name, "dir": str(self.run_dir)} | self.options

    def resume_arguments(self, run_id: str | None) -> dict[str, Any] | None:
        return {"id": run_id, "resume": "allow"} if run_id else None

    def run_id(self) -> str | None:
        return str(self.tracker.tracker.id)


class MLflow(AccelerateTracker):
    """MLflow, with pictures as artifacts. Where it stores is set by MLFLOW_TRACKING_URI."""

    backend, package, module = "mlflow", "mlflow", "mlflow"
    takes_images, resumes, settings_are_final = True, True, True

    def arguments(self) -> tuple[str, dict[str, Any]]:
        return self.project, {"run_name": self.name} | self.options

    def resume_arguments(self, run_id: str | None) -> dict[str, Any] | None:
        return {"run_id": run_id} if run_id else None

    def run_id(self) -> str | None:
        return str(self.tracker.tracker.info.run_id)

    def images(self, step: int, figures: Mapping[str, Figure]) -> None:
        """Store each figure as the artifact ``<tag>/<step>.png``."""
        for tag, figure in figures.items():
            self.tracker.log_figure(figure, f"{tag}/{step:08d}.png")


class Trackio(AccelerateTracker):
    """Trackio, a local dashboard by Hugging Face. Options: those of trackio.init."""

    backend, package, module = "trackio", "trackio", "trackio"
    resumes = True

    def arguments(self) -> tuple[str, dict[str, Any]]:
        return self.project, {"name": self.name} | self.options

    def resume_arguments(self, run_id: str | None) -> dict[str, Any] | None:
        return {"resume": "allow"}  # Trackio finds the newest run of the name


class Comet(AccelerateTracker):
    """Comet. Options: those of comet_ml.start."""

    backend, package, module = "comet_ml", "comet-ml", "comet_ml"

    def started(self) -> None:
        self.tracker.tracker.set_name(self.name)


class Aim(AccelerateTracker):
    """Aim, with pictures, in .aim of the current folder. Options: those of aim.Run."""

    backend, package, module = "aim", "aim", "aim"
    takes_images = True

    def arguments(self) -> tuple[str, dict[str, Any]]:
        return self.name, {"experiment": self.project} | self.options

    def images(self, step: int, figures: Mapping[str, Figure]) -> None:
        for tag, figure in figures.items():
            self.tracker.log_images({tag: pixels(figure)}, step=step)


class ClearML(AccelerateTracker):
    """ClearML, with pictures. Options: those of clearml.Task.init."""

    backend, package, module = "clearml", "clearml", "clearml"
    takes_images = True

    def arguments(self) -> tuple[str, dict[str, Any]]:
        return self.name, {"project_name": self.project, "task_name": self.name} | self.options

    def images(self, step: int, figures: Mapping[str, Figure]) -> None:
        for tag, figure in figures.items():
            self.tracker.log_images({tag: pixels(figure)}, step=step)


class DVCLive(AccelerateTracker):
    """DVCLive, in run_dir/dvclive. Options: those of dvclive.Live."""

    backend, package, module = "dvclive", "dvclive", "dvclive"
    resumes = True

    def arguments(self) -> tuple[str, dict[str, Any]]:
        return self.project, {"dir": str(self.run_dir / "dvclive")} | self.options

    def resume_arguments(self, run_id: str | None) -> dict[str, Any] | None:
        return {"resume": True}


class SwanLab(AccelerateTracker):
    """SwanLab, with pictures. Options: those of swanlab.init, such as mode: offline."""

    backend, package, module = "swanlab", "swanlab", "swanlab"
    takes_images = True

    def arguments(self) -> tuple[str, dict[str, Any]]:
        return self.project, {"experiment_name": self.name} | self.options
