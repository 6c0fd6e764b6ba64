"""Answers of a trained model: evaluation, prediction, several runs as one."""
