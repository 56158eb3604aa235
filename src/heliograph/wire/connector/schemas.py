"""JSON Schema of OpenAPI 3.1 → the part of OpenAPI 2.0 that the platform reads.

There a value has one type, no alternatives and no null, and every property of an object a title and a description,
which can't stand beside a `$ref`: so what an object holds is written out in place.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from heliograph.wire.connector.presentation import ADVANCED_FIELDS, Visibility, plain, title

Json = dict[str, Any]

_KEPT = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
_FORMATS = frozenset({"date-time", "uri"})
"""Those the platform knows; another would be shown as an error."""
_TEXTS = frozenset({"buildTimestamp"})
"""What the public reference of the connector has as a plain text, although it has a format."""


def as_swagger(schema: Json, schemas: Mapping[str, Json], *, request: bool) -> Json:
    """A schema, with nothing left to look up in `schemas`.

    request: a schema of what is sent. Its defaults are left out, because the designers fill them in and send them: the
    account's own would never hold. Few people's fields are put out of sight.
    """
    return _Writer(schemas, request=request).schema(schema)


def reference_name(reference: str) -> str:
    """The last part of a `$ref`."""
    return reference.rpartition("/")[2]


class _Writer:
    def __init__(self, schemas: Mapping[str, Json], *, request: bool) -> None:
        self._schemas = schemas
        self._request = request

    def schema(self, raw: Json) -> Json:
        schema = self._resolved(raw)
        written: Json = {"type": _type(schema)}
        if "description" in schema:
            written["description"] = plain(schema["description"])
        if schema.get("format") in _FORMATS:
            written["format"] = schema["format"]
        if "enum" in schema:
            written["enum"] = [value for value in schema["enum"] if value is not None]
        written.update({keyword: schema[keyword] for keyword in _KEPT if keyword in schema})
        if "items" in schema:
            written["items"] = self.schema(schema["items"])
        if "properties" in schema:
            written["properties"] = {
                name: self._property(name, described) for name, described in schema["properties"].items()
            }
        if schema.get("required"):
            written["required"] = schema["required"]
        return written

    def _property(self, name: str, raw: Json) -> Json:
        shown: Json = {"x-ms-summary": title(name)}
        if self._request and name in ADVANCED_FIELDS:
            shown["x-ms-visibility"] = Visibility.ADVANCED.value
        return {**shown, **self.schema(_without(raw, "format") if name in _TEXTS else raw)}

    def _resolved(self, raw: Json) -> Json:
        """Without `$ref` and alternatives; what stands beside them holds."""
        if "$ref" in raw:
            return {**self._resolved(self._schemas[reference_name(raw["$ref"])]), **_without(raw, "$ref")}
        if "anyOf" in raw:
            alternatives = [self._resolved(each) for each in raw["anyOf"] if each.get("type") != "null"]
            return {**_either(alternatives), **_without(raw, "anyOf")}
        return raw


def _either(schemas: Sequence[Json]) -> Json:
    """One schema for what any of them allows, and here and there for more: the service decides."""
    first = schemas[0]
    if len(schemas) == 1:
        return first
    if _type(first) == "integer":
        lowest = [_bound(schema, "minimum") for schema in schemas]
        highest = [_bound(schema, "maximum") for schema in schemas]
        return {**first, "minimum": min(lowest), "maximum": max(highest)}
    always = [name for name in first["required"] if all(name in schema["required"] for schema in schemas)]
    properties = {name: described for schema in reversed(schemas) for name, described in schema["properties"].items()}
    return {**first, "properties": {**first["properties"], **properties}, "required": always}


def _bound(schema: Json, keyword: str) -> int:
    return schema["const"] if "const" in schema else schema[keyword]


def _type(schema: Json) -> str:
    kinds: str | list[str] = schema["type"]
    return kinds if isinstance(kinds, str) else next(kind for kind in kinds if kind != "null")


def _without(schema: Json, keyword: str) -> Json:
    return {name: cast("object", value) for name, value in schema.items() if name != keyword}
