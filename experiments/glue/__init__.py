"""GLUE: nine tasks and the diagnostic set (arXiv 1804.07461)."""
