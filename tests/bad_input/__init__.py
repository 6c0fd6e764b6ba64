"""Inputs that are refused: each with its exact message and exit code 2."""
