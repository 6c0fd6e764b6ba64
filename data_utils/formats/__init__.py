"""Data formats, one file each. To add a format, add a file and import it here."""

from data_utils.formats import cloze_choice as cloze_choice
from data_utils.formats import mlm as mlm
from data_utils.formats import mrc as mrc
from data_utils.formats import premise_and_multi_hypothesis as premise_and_multi_hypothesis
from data_utils.formats import premise_and_one_hypothesis as premise_and_one_hypothesis
from data_utils.formats import premise_only as premise_only
from data_utils.formats import sequence as sequence
from data_utils.formats.base import FORMATS as FORMATS
from data_utils.formats.base import IGNORE as IGNORE
from data_utils.formats.base import DataFormat as DataFormat
from data_utils.formats.base import DroppedRow as DroppedRow
from data_utils.formats.base import Example as Example
from data_utils.formats.base import Row as Row
from data_utils.formats.rows import MAX_TARGET_LEN as MAX_TARGET_LEN
