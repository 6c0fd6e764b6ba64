"""Finished runs as models for others: export to transformers, averages of weights."""
