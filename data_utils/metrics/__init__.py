"""Metrics of a whole data set, one file per family.

To add a metric, write a function of :class:`Results` and add its line to data_utils/registries.py. As in
papers, shares are percentages (0 to 100) and correlations are scaled to -100 .. 100.
"""

from data_utils.metrics.base import Metric as Metric
from data_utils.metrics.base import Results as Results
from data_utils.metrics.base import Undefined as Undefined
from data_utils.metrics.base import metric as metric
from data_utils.metrics.outcome import Outcome as Outcome
from data_utils.metrics.statistics import Statistics as Statistics
