#!/usr/bin/env python3
"""values.yaml and values.schema.json say the same: each value has a property with a description, and nothing else may be
given. Prints a line for each difference; exit code 1 if there are any."""
import json
import sys

import yaml

chart = sys.argv[1]
schema = json.load(open(f"{chart}/values.schema.json"))
values = yaml.safe_load(open(f"{chart}/values.yaml"))
problems = []


def resolved(node):
    if "$ref" in node:
        return {**schema["definitions"][node["$ref"].rsplit("/", 1)[1]], **node}
    return node


def compare(path, node, value):
    node = resolved(node)
    if path and not node.get("description"):
        problems.append(f"{path}: has no description in the schema")
    properties = node.get("properties")
    if properties is None or not isinstance(value, dict):
        return
    if node.get("additionalProperties") is not False:
        problems.append(f"{path or 'the top level'}: takes keys that nobody knows")
    for key in value.keys() - properties.keys():
        problems.append(f"{path}.{key}: is in values.yaml and not in the schema")
    # `global` is a parent's; strategies and probes have keys that are best left to Kubernetes' defaults.
    for key, child in properties.items():
        if key in value:
            compare(f"{path}.{key}".lstrip("."), child, value[key])
        elif value and not path.startswith(("probes.", "resources", "sidecarInjection.resources")):
            problems.append(f"{path}.{key}: is in the schema and not in values.yaml")


compare("", schema, values)
print("\n".join(problems) or f"{len(values)} values at the top level")
sys.exit(bool(problems))
