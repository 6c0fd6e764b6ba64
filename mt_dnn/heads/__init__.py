"""Heads: from the encoder's hidden states to a task's logits."""
