"""SNLI and SciTail with 0.1, 1, 10 and 100% of their training pairs (SMART, arXiv 1911.03437, table 5)."""
