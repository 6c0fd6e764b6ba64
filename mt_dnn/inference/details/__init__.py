"""What an evaluation shows besides its scores, one detail per file. Nothing here imports torch."""
