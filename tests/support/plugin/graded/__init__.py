"""A plugin for graded answers: one kind of everything, registered from outside of mt_dnn.

Train with ``--plugins graded``. Each module registers one kind; docs/plugins.md walks through them.
"""

from importlib import import_module

for _name in (
    *("dialogue", "ordinal", "error", "renyi", "distance"),
    *("muon", "power_decay", "rotation", "equal_norms", "spreadsheet"),
):
    import_module(f"graded.{_name}")
