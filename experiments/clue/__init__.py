"""CLUE's classification tasks (arXiv 2004.05986) and Qianyan's Chinese sentence pairs."""
