"""Reproduce a paper's table from a YAML file: plan its runs, execute them, render the scores."""
