"""Reading, tokenizing, mixing and batching rows. Must not import ``mt_dnn``."""
