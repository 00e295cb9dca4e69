"""Examples, made of those that schemas give for their smallest parts."""

from collections.abc import Mapping

from hubrepo.kernel.openapi.descriptions import Schema

_OF_TYPES: Mapping[str, object] = {
    "string": "…",
    "integer": 1,
    "number": 1.5,
    "boolean": False,
    "array": [],
    "null": None,
}


def example_of(schema: Schema, schemas: Mapping[str, Schema]) -> object:
    """A value that `schema` describes. References are to `schemas`, by the last part of their name."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "const" in schema:
        return schema["const"]
    for several in ("examples", "enum", "anyOf", "oneOf"):
        if several in schema:
            first = schema[several][0]
            return example_of(first, schemas) if several in {"anyOf", "oneOf"} else first
    if "properties" in schema:
        return {name: example_of(each, schemas) for name, each in schema["properties"].items()}
    if "items" in schema:
        return [example_of(schema["items"], schemas)]
    kind = schema.get("type", "object")
    return _OF_TYPES.get(kind if isinstance(kind, str) else kind[0], {})
