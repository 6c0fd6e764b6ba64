"""Named entities: WNUT-17, CoNLL-2003 (also chunks and parts of speech), tweets from a package."""
