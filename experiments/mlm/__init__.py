"""Masked language modelling (arXiv 1810.04805) as a task beside others, plain or with smoothness (ALUM)."""
