"""The API reference as a page for people."""


def docs_page(version: str) -> str:
    """placeholder, being written."""
    return f"<!doctype html><title>heliograph {version}</title>"
