"""Does multi-task training pay? Seven tasks alone, mixed, and fine-tuned after mixing."""
