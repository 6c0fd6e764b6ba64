"""Files of a run: its directory, token stores and model card."""
