"""The training loop: its parts, optimizer, schedule, checkpoints and reports."""
