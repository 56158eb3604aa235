"""SMPP 3.4, Issue 1.2: bytes and instants in, bytes and events out. Pure."""
