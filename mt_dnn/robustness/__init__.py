"""Robustness of finished runs: perturbed texts, challenge sets, and an attack on word embeddings."""
