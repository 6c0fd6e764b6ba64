"""Pretrained encoders: locating and loading them, attention, and NEZHA."""
