"""Measurements. `make bench` prints them all; ratios in one run count, for machines differ and are noisy."""
