#!/usr/bin/env python3
"""Prometheus's configuration for rendered charts, without a cluster.

  scrape.py config RULES KSM NAME=FILE@IP…   prints it
  scrape.py targets URL                      the targets that a running Prometheus made of it, a line each

A rendered chart FILE is the scrape pool NAME: its pods, at the address IP, as Prometheus discovers them; and its
PodMonitor or ServiceMonitor, as the operator translates it (promcfg.go, v0.85). KSM is the address of what
kube-state-metrics would serve.

What stands beside the chart's pod must not be scraped: an init container, a container with a port of the same name,
and the pods of another release and of one that failed.
"""
import copy
import json
import re
import sys
import urllib.request

import yaml


def label(prefix, labels):
    """Labels of an object as discovery shows them."""
    found = {}
    for key, value in labels.items():
        found |= dict(zip(sources(prefix, key), (value, "true")))
    return found


def sources(prefix, key):
    """The two labels by which discovery shows one label of an object."""
    key = re.sub(r"\W", "_", key)
    return [f"__meta_kubernetes_{prefix}_label_{key}", f"__meta_kubernetes_{prefix}_labelpresent_{key}"]


def at(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def pods(docs):
    """The chart's pod and those beside it: name, labels, phase, specification."""
    workload = next(d for d in docs if d["kind"] in ("DaemonSet", "Deployment"))
    template, name = workload["spec"]["template"], workload["metadata"]["name"]
    spec, labels = copy.deepcopy(template["spec"]), template["metadata"]["labels"]
    spec["initContainers"] = [{"name": "udp-proxy", "ports": [{"name": "admin", "containerPort": 1}]}, {"name": "init"}]
    spec["containers"].append({"name": "mesh", "ports": [{"name": "admin", "containerPort": 2}]})
    return workload["metadata"]["namespace"], [
        (f"{name}-a", labels, "Running", spec), (f"{name}-b", labels, "Failed", spec),
        ("other", labels | {"app.kubernetes.io/instance": "other"}, "Running", spec)]


def of_pod(namespace, pod, ip):
    name, labels, phase, _ = pod
    return label("pod", labels) | {
        "__meta_kubernetes_namespace": namespace, "__meta_kubernetes_pod_name": name, "__meta_kubernetes_pod_ip": ip,
        "__meta_kubernetes_pod_phase": phase, "__meta_kubernetes_pod_node_name": "node1"}


def role_pod(namespace, found, ip):
    """One target for each declared port, one for a container without any."""
    for pod in found:
        for kind in ("initContainers", "containers"):
            for container in pod[3][kind]:
                common = of_pod(namespace, pod, ip) | {
                    "__meta_kubernetes_pod_container_name": container["name"],
                    "__meta_kubernetes_pod_container_init": str(kind == "initContainers").lower()}
                for port in container.get("ports", []):
                    yield at(ip, port["containerPort"]), common | {
                        "__meta_kubernetes_pod_container_port_name": port["name"],
                        "__meta_kubernetes_pod_container_port_number": str(port["containerPort"])}
                if not container.get("ports"):
                    yield (f"[{ip}]" if ":" in ip else ip), common


def role_endpoints(namespace, found, ip, services):
    """One target for each port of a Service and each pod that it selects."""
    for service in services:
        meta, spec = service["metadata"], service["spec"]
        for pod in found:
            if not spec["selector"].items() <= pod[1].items():
                continue
            for port in spec["ports"]:
                yield at(ip, port["targetPort"]), of_pod(namespace, pod, ip) | label("service", meta["labels"]) | {
                    "__meta_kubernetes_service_name": meta["name"],
                    "__meta_kubernetes_endpoint_port_name": port["name"],
                    "__meta_kubernetes_endpoint_address_target_kind": "Pod",
                    "__meta_kubernetes_endpoint_address_target_name": pod[0],
                    "__meta_kubernetes_pod_container_name": "udp-proxy"}


def keep(regex, *labels):
    return {"action": "keep", "source_labels": list(labels), "regex": regex}


def copied(target, source):
    return {"source_labels": [source], "target_label": target}


def own(relabelings):
    """Relabelings of the monitor in the words of Prometheus's configuration."""
    snake = lambda key: re.sub("[A-Z]", lambda m: "_" + m[0].lower(), key)
    return [{snake(key): value for key, value in rule.items()} for rule in relabelings]


def pool(name, file, ip):
    docs = [d for d in yaml.safe_load_all(open(file)) if d]
    monitor = next(d for d in docs if d["kind"] in ("PodMonitor", "ServiceMonitor"))
    namespace, found = pods(docs)
    by_pod = monitor["kind"] == "PodMonitor"
    thing = "pod" if by_pod else "service"
    end, = monitor["spec"]["podMetricsEndpoints" if by_pod else "endpoints"]
    relabel = [{"action": "drop", "source_labels": ["__meta_kubernetes_pod_phase"], "regex": "(Failed|Succeeded)"}]
    for key, value in sorted(monitor["spec"]["selector"]["matchLabels"].items()):
        relabel.append(keep(f"({value});true", *sources(thing, key)))
    if "port" in end:
        port = "pod_container_port_name" if by_pod else "endpoint_port_name"
        relabel.append(keep(end["port"], f"__meta_kubernetes_{port}"))
        relabel.append({"target_label": "endpoint", "replacement": end["port"]})
    relabel += [copied(target, f"__meta_kubernetes_{source}") for target, source in (
        ("namespace", "namespace"), ("container", "pod_container_name"), ("pod", "pod_name"))]
    if by_pod:
        relabel.append({"target_label": "job", "replacement": f"{namespace}/{monitor['metadata']['name']}"})
        targets = role_pod(namespace, found, ip)
    else:
        relabel += [copied(target, "__meta_kubernetes_service_name") for target in ("service", "job")]
        targets = role_endpoints(namespace, found, ip, [d for d in docs if d["kind"] == "Service"])
    return {"job_name": name, "metrics_path": end["path"], "relabel_configs": relabel + own(end["relabelings"]),
            "static_configs": [{"targets": [address], "labels": labels} for address, labels in targets]}


def config(rules, ksm, *pools):
    made = [pool(name, *rest.rsplit("@", 1)) for name, rest in (p.split("=", 1) for p in pools)]
    made.append({"job_name": "kube-state-metrics", "honor_labels": True, "static_configs": [{"targets": [ksm]}]})
    yaml.safe_dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                    "rule_files": [rules], "scrape_configs": made}, sys.stdout, sort_keys=False)


def targets(url):
    with urllib.request.urlopen(f"{url}/api/v1/targets?state=active", timeout=5) as answer:
        for target in sorted(json.load(answer)["data"]["activeTargets"], key=lambda t: t["scrapePool"]):
            labels = target["labels"]
            if target["scrapePool"] != "kube-state-metrics":
                shown = (labels.get(name, "-") for name in ("job", "namespace", "pod", "node", "container"))
                print(target["scrapePool"], target["scrapeUrl"], *shown)


{"config": config, "targets": targets}[sys.argv[1]](*sys.argv[2:])
