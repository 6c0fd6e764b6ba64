"""Settings of a run: dataclasses, SMART presets, range checks, command line."""
