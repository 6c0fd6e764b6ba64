"""The formulas of the papers in float64, written for reading; imports nothing of the packages.

Plain loops and the definitions themselves, in place of speed and of numerically careful forms. The unit
tests compare the packages with these functions. Each module is independent of the others.
"""
