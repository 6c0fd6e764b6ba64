"""Scores of a whole data set, one file per family; a new one is a function under ``@metric``.

Shares are percentages (0 to 100, correlations -100 to 100), as the papers print them.
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
