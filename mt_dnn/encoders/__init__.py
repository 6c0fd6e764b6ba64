"""Pretrained encoders: where they are found, how they are loaded, and NEZHA's architecture."""
