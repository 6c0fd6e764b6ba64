"""Named entities: WNUT-17, CoNLL-2003 with its other two columns, and tweets from a Python package."""
