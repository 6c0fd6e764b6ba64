"""The settings of a run: dataclasses, SMART's presets, bounds and the command line."""
