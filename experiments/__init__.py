"""One folder per suite: task file, preparation, run configs. Nothing imports this package."""
