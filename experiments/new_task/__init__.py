"""The study that fixed the rules of ``mt-dnn new-task``."""
