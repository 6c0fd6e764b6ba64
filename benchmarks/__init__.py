"""Benchmarks of speed and memory, each a ratio to a reference measured in the same run."""
