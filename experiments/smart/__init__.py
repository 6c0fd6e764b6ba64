"""SMART (arXiv 1911.03437): the paper's tables, and an ablation study on small tasks."""
