"""Kill, fill the disk and cut the power of tiny runs, and resume them: ``make soak``."""
