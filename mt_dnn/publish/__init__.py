"""Publish finished runs: export to transformers, averages of model weights."""
