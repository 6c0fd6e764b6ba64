"""Masked language modelling (arXiv 1810.04805), alone or with other tasks, plain or with ALUM."""
