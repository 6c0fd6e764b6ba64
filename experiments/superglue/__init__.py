"""SuperGLUE: eight tasks (arXiv 1905.00537)."""
