"""SMART (arXiv 1911.03437): which part of it gives what, on small tasks."""
