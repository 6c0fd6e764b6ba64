"""The study that compares runs of ``mt-dnn new-task`` with cheap baselines."""
