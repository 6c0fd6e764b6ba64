"""Heads, which compute the logits of a task from the hidden states of the encoder."""
