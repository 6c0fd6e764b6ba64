"""Metrics of a whole data set, one file per family.

To add a metric, decorate a function with :func:`metric` and import its file here. As in papers, shares
are percentages (0 to 100) and correlations are scaled to -100 .. 100.
"""

from data_utils.metrics import answers as answers
from data_utils.metrics import classes as classes
from data_utils.metrics import correlations as correlations
from data_utils.metrics import entities as entities
from data_utils.metrics import probabilities as probabilities
from data_utils.metrics import questions as questions
from data_utils.metrics.base import METRICS as METRICS
from data_utils.metrics.base import Metric as Metric
from data_utils.metrics.base import Results as Results
from data_utils.metrics.base import Undefined as Undefined
from data_utils.metrics.base import metric as metric
