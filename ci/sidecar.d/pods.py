#!/usr/bin/env python3
"""Questions about pods in JSON on stdin, as kubectl prints them: a list, or one behind the other.

  pods.py at NAME KEY…      one value, keys sorted; empty where nothing is
  pods.py names             each pod and the names of its init containers, a line each
  pods.py rest              all pods without the sidecar, its annotation and what differs from pod to pod
"""
import json
import sys


def read(text):
    decoder, found = json.JSONDecoder(), []
    while text := text.strip():
        value, end = decoder.raw_decode(text)
        found += value["items"] if value["kind"] == "List" else [value]
        text = text[end:]
    return found


def dig(value, keys):
    for key in keys:
        if isinstance(value, list):
            value = value[int(key)] if int(key) < len(value) else None
        elif value is not None:
            value = value.get(key)
    return value


def rest(pod):
    for key in "uid", "creationTimestamp", "labels":
        pod["metadata"].pop(key, None)
    annotations = pod["metadata"].get("annotations", {})
    annotations.pop("udp-proxy/injected", None)
    if not annotations:
        pod["metadata"].pop("annotations", None)
    init = [c for c in pod["spec"].pop("initContainers", []) if c["name"] != "udp-proxy"]
    if init:
        pod["spec"]["initContainers"] = init
    # It follows from the requests of all containers.
    pod["status"].pop("qosClass", None)
    return pod


pods, question = read(sys.stdin.read()), sys.argv[1]
if question == "at":
    found = dig(next(pod for pod in pods if pod["metadata"]["name"] == sys.argv[2]), sys.argv[3:])
    if found is not None:
        print(found if isinstance(found, str) else json.dumps(found, sort_keys=True, indent=1))
elif question == "names":
    for pod in pods:
        names = [c["name"] for c in pod["spec"].get("initContainers", [])]
        print(pod["metadata"]["name"] + ":", *names)
elif question == "rest":
    print(json.dumps([rest(pod) for pod in pods], sort_keys=True, indent=1))
else:
    sys.exit(__doc__)
