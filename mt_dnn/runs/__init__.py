"""What a run keeps on disk: its directory, its token stores and its model card."""
