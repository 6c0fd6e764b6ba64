"""XNLI: inference in fifteen languages, with English training data (arXiv 1809.05053)."""
