"""Pages and comparisons of runs, made from what their run directories contain. No module imports torch."""
