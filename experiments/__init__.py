"""One folder per suite: task file, preparation script, run configurations, table files."""
