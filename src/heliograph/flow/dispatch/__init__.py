"""Waiting SMS go out."""
