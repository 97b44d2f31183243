"""Amensolar AM5000: 16S LFP, 51.2 V, 100 Ah. Source: its specification, chapters 2 and 3."""

NAME = "am5000"
CELLS = 16
CAPACITY_MAH = 100_000
DEFAULTS = {}           # the registry's own defaults are this product's
