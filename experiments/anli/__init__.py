"""ANLI: adversarial inference in three rounds (arXiv 1910.14599), and the corpora trained with it."""
