"""Operations → OpenAPI document."""


def openapi_document(version: str) -> dict[str, object]:
    """placeholder, being written."""
    return {"openapi": "3.1.0", "info": {"title": "heliograph", "version": version}, "paths": {}}
