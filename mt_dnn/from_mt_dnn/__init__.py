"""Checkpoints of the original MT-DNN, read into models of ours."""
