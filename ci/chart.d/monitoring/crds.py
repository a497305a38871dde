#!/usr/bin/env python3
"""crds.py FOLDER FILE…: holds the objects of monitoring.coreos.com in rendered charts to the operator's own CRDs in
FOLDER, as strictly as an API server with strict field validation: a field that is not in the schema is an error. Prints
the kinds that it saw.
"""
import pathlib
import sys

import jsonschema
import yaml


def strict(schema):
    """OpenAPI as JSON schema: unknown fields are wrong, and an int-or-string is one of the two."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        schema["type"] = ["integer", "string"]
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    return schema


def main():
    folder, *files = sys.argv[1:]
    schemas = {}
    for file in pathlib.Path(folder).iterdir():
        crd = yaml.safe_load(file.read_text())["spec"]
        for version in crd["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            schemas[f"{crd['group']}/{version['name']}", crd["names"]["kind"]] = jsonschema.Draft7Validator(schema)
    wrong, kinds = [], set()
    for file in files:
        for thing in yaml.safe_load_all(pathlib.Path(file).read_text()):
            if thing and thing["apiVersion"].startswith("monitoring.coreos.com/"):
                kinds.add(thing["kind"])
                for error in schemas[thing["apiVersion"], thing["kind"]].iter_errors(thing):
                    wrong.append(f"{thing['kind']} {error.json_path}: {error.message}")
    if wrong or not kinds:
        sys.exit("\n".join(wrong) or "no object of monitoring.coreos.com")
    print(*sorted(kinds))


main()
