"""Data formats, one file each. To add a format, add a file and a line in data_utils/registries.py."""

from data_utils.formats.base import IGNORE as IGNORE
from data_utils.formats.base import DataFormat as DataFormat
from data_utils.formats.base import DroppedRow as DroppedRow
from data_utils.formats.base import Example as Example
from data_utils.formats.base import Row as Row
from data_utils.formats.rows import MAX_TARGET_LEN as MAX_TARGET_LEN
from data_utils.formats.rows import TARGET_OPTION as TARGET_OPTION
