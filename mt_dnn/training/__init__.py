"""The training loop: what it is assembled from, its optimizer, checkpoints and reports."""
