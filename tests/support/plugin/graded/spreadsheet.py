"""Tracker: scalars as rows of a CSV file."""

import csv

from mt_dnn.registries import TRACKERS
from mt_dnn.tracking.tracker import Tracker


@TRACKERS.register("csv")
class Spreadsheet(Tracker):
    """A CSV file in the run directory with the columns step, tag and value."""

    def __init__(self, run_dir, *, file: str = "metrics.csv"):
        self.path = run_dir / file

    def scalars(self, step, values):
        with self.path.open("a", newline="") as stream:
            csv.writer(stream).writerows([step, tag, value] for tag, value in values.items())

    def truncate_after(self, update):
        if self.path.exists():
            with self.path.open(newline="") as stream:
                rows = [row for row in csv.reader(stream) if int(row[0]) <= update]
            with self.path.open("w", newline="") as stream:
                csv.writer(stream).writerows(rows)
