"""From text to batches. Never imports ``mt_dnn`` or ``experiments``."""
