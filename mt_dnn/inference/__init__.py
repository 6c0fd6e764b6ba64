"""Inference with trained models: evaluation, prediction, ensembles."""
