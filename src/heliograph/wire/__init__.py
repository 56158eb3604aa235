"""The HTTP contract: JSON in, JSON out. Pure: no I/O, clock or randomness."""
