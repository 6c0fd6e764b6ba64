"""A paper's table as a YAML file: a grid of settings and seeds, its runs, their scores as shown."""
