"""Where rows come from, one file per kind of source."""

from data_utils.sources.base import RowSource as RowSource
from data_utils.sources.base import by_position as by_position
from data_utils.sources.base import complete as complete
from data_utils.sources.base import join_names as join_names
from data_utils.sources.conll import ConllSource as ConllSource
from data_utils.sources.delimited import DelimitedSource as DelimitedSource
from data_utils.sources.find import find_source as find_source
from data_utils.sources.hub import HubSource as HubSource
from data_utils.sources.lines import FileSource as FileSource
