"""docs/reference/api.md and tests/golden/openapi.json, from the operations."""

import json

import heliograph
from heliograph.wire.docs import api_reference
from heliograph.wire.openapi import openapi_document

REFERENCE = "docs/reference/api.md"
DOCUMENT = "tests/golden/openapi.json"

INTRODUCTION = "<!-- Generated from src/heliograph/wire/operations.py by `make golden`; change it there. -->\n\n"


def files() -> dict[str, str]:
    """The documents."""
    document = json.dumps(openapi_document(heliograph.__version__), indent=2, ensure_ascii=False)
    return {REFERENCE: INTRODUCTION + api_reference(heliograph.__version__), DOCUMENT: document + "\n"}
