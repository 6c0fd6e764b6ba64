"""XNLI: inference in fifteen languages, trained on English (arXiv 1809.05053)."""
