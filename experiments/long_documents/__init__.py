"""The study of windows: documents whose label is decided at their end, and BoolQ."""
