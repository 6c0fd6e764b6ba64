"""ANLI: adversarial inference in three rounds (arXiv 1910.14599), with the corpora it is trained beside."""
