"""Track a run: log files, console output, plots of predictions, and the state of SMART."""
