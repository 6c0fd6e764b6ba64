"""The loss of a step: its terms, SMART's two among them, and their sum."""
