#!/usr/bin/env python3
"""Checks documents of JSON, one a line, against a schema: the part of JSON Schema that doc/statistics.schema.json uses.

    schema.py SCHEMA FILE

A word of the schema that is not known here is an error, so nothing in it is passed over.
"""

import json
import sys
from pathlib import Path

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None)}
IGNORED = {"$schema", "$id", "title", "description", "$defs"}
KNOWN = IGNORED | {"type", "const", "enum", "minimum", "properties", "required", "additionalProperties", "items", "$ref"}


def is_of(value, name):
    return isinstance(value, TYPES[name]) and not (name == "integer" and isinstance(value, bool))


def faults(schema, value, where="", root=None):
    """What is wrong with a value, in a sentence each."""
    root = schema if root is None else root
    if not KNOWN >= schema.keys():
        raise ValueError(f"schema.py knows no {', '.join(schema.keys() - KNOWN)}")
    if "$ref" in schema:
        yield from faults(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, where, root)
    names = schema.get("type", [])
    if names and not any(is_of(value, n) for n in ([names] if isinstance(names, str) else names)):
        yield f"{where or 'it'} is not of type {names}: {value!r}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{where} is not {schema['const']!r}: {value!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} is none of {schema['enum']}: {value!r}"
    if "minimum" in schema and value is not None and value < schema["minimum"]:
        yield f"{where} is too small: {value!r}"
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            if name not in value:
                yield f"{where}/{name} is missing"
        for name, member in value.items():
            if name in properties:
                yield from faults(properties[name], member, f"{where}/{name}", root)
            elif schema.get("additionalProperties") is False:
                yield f"{where}/{name} is not in the schema"
    if isinstance(value, list) and "items" in schema:
        for i, member in enumerate(value):
            yield from faults(schema["items"], member, f"{where}/{i}", root)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    schema = json.loads(Path(sys.argv[1]).read_text())
    found = [f"line {n}: {fault}" for n, line in enumerate(Path(sys.argv[2]).read_text().splitlines(), 1)
             for fault in faults(schema, json.loads(line))]
    print("\n".join(found) or "as the schema says")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
