"""One split of a Hugging Face dataset."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.sources.base import hash_of, rename


@dataclass(frozen=True)
class HubSource:
    """One split of a Hugging Face dataset."""

    hub: str
    """Name on the hub, a folder of data files, or a folder written by ``save_to_disk``."""
    config: str | None
    revision: str | None
    split: str
    """Name of the split in the dataset."""
    renames: dict[str, str]
    """Our column name -> theirs."""
    label_words: bool
    """Whether to replace the ids of a ClassLabel column by the dataset's label words."""

    @property
    def name(self) -> str:
        return ":".join(filter(None, (self.hub, self.config, self.split)))

    def _dataset(self) -> Any:
        import datasets

        datasets.disable_progress_bars()
        folder = Path(self.hub)
        try:
            if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
                loaded = datasets.load_from_disk(self.hub)
            else:
                load = partial(datasets.load_dataset, self.hub, self.config, revision=self.revision)
                loaded = load()
                if any(_is_csv(split) for split in loaded.values()):
                    # Only an empty cell is missing: NA, null and nan are texts.
                    loaded = load(keep_default_na=False, na_values=[""])
        except Exception as error:  # the library raises many types of exception
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise UserError(f"dataset {self.hub!r} cannot be loaded: {reason}") from None
        if isinstance(loaded, datasets.Dataset):
            # Saved without splits; the library names the only split train.
            loaded = {"train": loaded}
        if self.split not in loaded:
            raise UserError(
                f"dataset {self.hub!r} has no split {self.split!r}; it has {', '.join(loaded)}. "
                f"In the task file, map our split names to theirs, such as "
                f"source: {{splits: {{dev: validation}}}}, or remove the split from split_names"
            )
        return loaded[self.split]

    def rows(self) -> Iterator[Row]:
        dataset = self._dataset()
        column = self.renames.get("label", "label")
        feature = dataset.features.get(column)
        hidden = _all_hidden(dataset, column)
        if hidden:
            warnings.warn(
                f"{self.name}: column {column!r} is -1 in all rows, which marks hidden labels; the "
                f"rows count as unlabelled",
                stacklevel=2,
            )
        for index, values in enumerate(dataset):
            where = f"{self.name}, row {index}"
            values = rename(values, self.renames, index, where)
            if hidden:
                values["label"] = ""
            elif (classes := _classes(feature)) is not None:
                values["label"] = _class_names(
                    values["label"], classes if self.label_words else None
                )
            yield Row(values, where)

    def fingerprint(self) -> str:
        # The library's fingerprint covers the files and all steps applied to them.
        return hash_of(self._dataset()._fingerprint, self.renames, self.label_words)


def _is_csv(dataset: Any) -> bool:
    """Whether a dataset was read from CSV files."""
    return getattr(getattr(dataset, "info", None), "builder_name", None) == "csv"


def _classes(feature: Any) -> Any:
    """Return the ClassLabel of a feature, also inside of lists of any depth; None if there is none."""
    from datasets import ClassLabel

    while not isinstance(feature, ClassLabel):
        # A list is a feature with the attribute `feature`, or a Python list of one feature.
        is_list = isinstance(feature, list) and len(feature) == 1
        feature = feature[0] if is_list else getattr(feature, "feature", None)
        if feature is None:
            return None
    return feature


def _class_names(value: Any, classes: Any) -> Any:
    """Replace class ids by their names; -1, the library's value for a missing label, becomes "".

    A list in which all labels are missing becomes "" as a whole.

    Args:
        value: an id or lists of ids, or "" for a missing label.
        classes: a ClassLabel; None leaves the ids.
    """
    if isinstance(value, (list, tuple)):
        names = [_class_names(one, classes) for one in value]
        return "" if names and all(name == "" for name in names) else names
    if value in (-1, None, ""):
        return ""
    return value if classes is None else classes.int2str(value)


def _all_hidden(dataset: Any, column: str) -> bool:
    """Whether a column of numbers is -1 in all rows, as in test splits of GLUE on the hub."""
    kind = str(getattr(dataset.features.get(column), "dtype", ""))
    is_number = kind.startswith(("int", "float")) and _classes(dataset.features[column]) is None
    return is_number and set(dataset.unique(column)) == {-1}
