#!/usr/bin/env python3
"""Holds manifests to the schemas of Kubernetes, strictly: a key that a version does not know is an error.

  validate.py VERSION… -- FILE…    a line for each mistake; exit code 1 if there are any

Kinds that the schemas do not have (custom resources) are named once, and left to those who know them.
"""
import sys

import kubernetes_validate
import yaml

split = sys.argv.index("--")
versions, files = sys.argv[1:split], sys.argv[split + 1:]
checked, unknown, wrong = 0, set(), 0
for file in files:
    with open(file) as f:
        documents = [document for document in yaml.safe_load_all(f) if document]
    for document in documents:
        name = f"{document['kind']} {document['metadata']['name']}"
        for version in versions:
            try:
                kubernetes_validate.validate(document, version, strict=True)
                checked += 1
            except kubernetes_validate.SchemaNotFoundError:
                unknown.add(f"{document['apiVersion']} {document['kind']} in {version}")
            except kubernetes_validate.ValidationError as error:
                wrong += 1
                print(f"{file}: {name}: Kubernetes {version}: {error.message}")
for one in sorted(unknown):
    print(f"no schema: {one}")
print(f"{checked} objects checked")
sys.exit(wrong > 0 or checked == 0)
