#!/usr/bin/env python3
"""Writes charts/udp-proxy/files/dashboard.json, or with `check` compares it: `dashboard.py write|check FILE`.

Owns: what the dashboard shows. A panel is one row below; the rest of Grafana's model is the same for all. Always true:
the same rows give the same bytes. To change the dashboard, change a row and write it anew.
"""
import json
import pathlib
import sys

OF = 'job=~"$job",namespace=~"$namespace",instance=~"$instance"'
TO = OF + ',target=~"$target"'
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
POD = "{{pod}} {{instance}}"


def rate(name, of, by=""):
    grouped = f"sum by ({by}) (" if by else "sum("
    return f"{grouped}rate(udp_proxy_{name}_total{{{of}}}[$__rate_interval]))"


def most(name, of, by):
    return f"max by ({by}) (udp_proxy_{name}{{{of}}})"


HOST = [(rate(f"host_udp_{name}", OF), legend) for name, legend in (
    ("receive_buffer_errors", "receive buffer full"), ("in_errors", "not delivered, any reason"),
    ("send_buffer_errors", "send buffer full"), ("no_ports", "nothing listens"))]
SIZES = f"sum by (le) (rate(udp_proxy_datagram_size_bytes_bucket{{{OF}}}[$__rate_interval]))"
PER_PROXY = "pod, instance"

# Rows of the page: title, then panels: title, kind, width of 24, unit, what it says, queries with their legends.
ROWS = [
    ("At a glance", [
        ("Ready", "stat", 4, "short", "Proxies that say yes to /readyz, of all that are scraped.",
         [(f"sum(udp_proxy_ready{{{OF}}})", "ready"), (f"count(udp_proxy_ready{{{OF}}})", "of")]),
        ("Received", "stat", 4, "cps", "Datagrams a second.", [(rate("received", OF), "")]),
        ("Lost", "loss", 4, "cps", "Datagrams a second that the kernel dropped, and a proxy for each of its targets.",
         [(rate("kernel_drops", OF) + " + " + rate("dropped", TO), "")]),
        ("Targets not up", "loss", 4, "short", "Of all proxies and targets.",
         [(f"sum(1 - udp_proxy_target_up{{{TO}}})", "")]),
        ("Books", "stat", 4, "bool_yes_no", "Whether received = sent + queued + discarded + dropped in every proxy.",
         [(f"min(udp_proxy_books_balanced{{{OF}}})", "balanced")]),
        ("Versions", "stat", 4, "short", "Proxies of each version.",
         [(f"count by (version, commit) (udp_proxy_build_info{{{OF}}})", "{{version}} {{commit}}")]),
    ]),
    ("Traffic", [
        ("Received", "line", 12, "cps", "Datagrams a second, by proxy.", [(rate("received", OF, PER_PROXY), POD)]),
        ("Sent", "line", 12, "cps", "Received datagrams that left, a second, by target.",
         [(rate("sent", TO, "target"), "{{target}}")]),
        ("Bytes", "line", 8, "Bps", "Payload received, and sent to each target.",
         [(rate("received_bytes", OF), "received"), (rate("sent_bytes", TO, "target"), "sent to {{target}}")]),
        ("Datagram sizes", "line", 8, "bytes", "Between the bounds of the size histogram's buckets.",
         [(f"histogram_quantile({q}, {SIZES})", f"{q:.0%} are not larger") for q in (0.5, 0.9, 0.99)]),
        ("Datagrams out for each received", "line", 8, "percentunit", "Below 100% where pack joins datagrams.",
         [(f'{rate("datagrams_out", TO, "target")} / {rate("sent", TO, "target")}', "{{target}}")]),
    ]),
    ("Losses: all of these should be zero", [
        ("Dropped, by target and reason", "line", 12, "cps", "Reasons are explained in docs/metrics.md.",
         [(rate("dropped", TO, "target, reason"), "{{target}} {{reason}}")]),
        ("Kernel drops", "line", 12, "cps", "Lost before the proxy could read them: its receive buffer was full.",
         [(rate("kernel_drops", OF, PER_PROXY + ", listener"), POD + " {{listener}}")]),
        ("Host UDP errors", "line", 8, "cps", "Of the network: the node's with hostNetwork, else the pod's.", HOST),
        ("Truncated and receive errors", "line", 8, "cps", "Datagrams above --buffer, and receive calls that failed.",
         [(rate("truncated", OF), "truncated"), (rate("receive_errors", OF), "receive errors")]),
        ("Discarded by rule", "line", 8, "cps", "No loss: left out by a rule, such as empty datagrams with pack.",
         [(rate("discarded", TO, "target"), "{{target}}")]),
    ]),
    ("Targets", [
        ("Up", "state", 12, "short", "Share of proxies that can send to it.",
         [(f"avg by (target) (udp_proxy_target_up{{{TO}}})", "{{target}}")]),
        ("Name resolves", "state", 12, "short", "Share of proxies whose last look-up of its name was answered.",
         [(f"avg by (target) (udp_proxy_target_resolved{{{TO}}})", "{{target}}")]),
        ("Queue fill", "line", 12, "percentunit",
         "The fullest queue of a target. Each shard has a part of it of its own: drops can begin before 100%.",
         [(f"max by (target) (udp_proxy_queued{{{TO}}} / udp_proxy_queue_capacity{{{TO}}})", "{{target}} datagrams"),
          (f"max by (target) (udp_proxy_queued_bytes{{{TO}}} / udp_proxy_queue_bytes_capacity{{{TO}}})",
           "{{target}} bytes")]),
        ("Queued", "line", 12, "short", "Datagrams in the fullest queue, and the most since a proxy's start.",
         [(most("queued", TO, "target"), "{{target}} now"), (most("queued_high", TO, "target"), "{{target}} most")]),
        ("Refusals", "line", 12, "cps", "Answers that nothing listens at the target.",
         [(rate("refusals", TO, "target"), "{{target}}")]),
        ("Failed look-ups and address changes", "line", 12, "cps", "Of the targets' names.",
         [(rate("resolve_failures", TO, "target"), "{{target}} failed"),
          (rate("address_changes", TO, "target"), "{{target}} changed")]),
    ]),
    ("Receive buffer", [
        ("Asked, granted, highest fill", "line", 12, "bytes",
         "Of one socket. Granted below asked: net.core.rmem_max is too small. Highest near granted: bursts fill it.",
         [(most("receive_buffer_asked_bytes", OF, PER_PROXY), "asked " + POD),
          (f"min by ({PER_PROXY}) (udp_proxy_receive_buffer_granted_bytes{{{OF}}})", "granted " + POD),
          (most("receive_queue_high_bytes", OF, PER_PROXY), "highest " + POD)]),
        ("Fill now", "line", 12, "bytes", "Of a listener's sockets together, with the kernel's overhead.",
         [(most("receive_queue_bytes", OF, PER_PROXY + ", listener"), POD + " {{listener}}")]),
    ]),
    ("Process", [
        ("CPU for each datagram", "line", 8, "µs", "Of the data threads, for each received. Falls as traffic rises.",
         [(f'{rate("shard_cpu_microseconds", OF, PER_PROXY)} / {rate("received", OF, PER_PROXY)}', POD)]),
        ("CPU", "line", 8, "percentunit", "Of one core, all data threads together.",
         [(f'{rate("shard_cpu_microseconds", OF, PER_PROXY)} / 1e6', POD)]),
        ("Memory", "line", 8, "bytes", "Resident.", [(most("resident_memory_bytes", OF, PER_PROXY), POD)]),
        ("Datagrams for each receive call", "line", 8, "short", "Near 64 the proxy is at its limit.",
         [(f'{rate("received", OF, PER_PROXY)} / {rate("batches", OF, PER_PROXY)}', POD)]),
        ("Longest time since a shard's turn", "line", 8, "s",
         "An idle shard turns twice a second; after 5 seconds the proxy is not live.",
         [(most("shard_heartbeat_age_seconds", OF, PER_PROXY), POD)]),
        ("Time since start", "line", 8, "s", "Falls to zero at each restart.",
         [(f"time() - {most('start_time_seconds', OF, PER_PROXY)}", POD)]),
    ]),
]
HEIGHT = {"stat": 4, "loss": 4, "line": 8, "state": 6}


def steps(*pairs):
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in pairs]}


def look(kind, unit):
    """Type, field defaults and options of a panel of this kind."""
    if kind in ("stat", "loss"):
        bad = steps((None, "green"), (1e-9, "red")) if kind == "loss" else steps((None, "text"))
        return "stat", {"unit": unit, "thresholds": bad}, {
            "colorMode": "value", "graphMode": "area", "textMode": "auto", "reduceOptions": {"calcs": ["lastNotNull"]}}
    if kind == "state":
        return "state-timeline", {"unit": "percentunit", "min": 0, "max": 1, "color": {"mode": "thresholds"},
                                  "thresholds": steps((None, "red"), (0.001, "orange"), (1, "green"))}, {
            "showValue": "never", "mergeValues": True, "legend": {"showLegend": False}, "tooltip": {"mode": "single"}}
    return "timeseries", {"unit": unit, "min": 0, "custom": {"fillOpacity": 8, "showPoints": "never"}}, {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"}}


def panels():
    made, y, number = [], 0, 0
    for title, row in ROWS:
        number += 1
        made.append({"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
                     "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}})
        y, x = y + 1, 0
        for name, kind, width, unit, says, queries in row:
            number += 1
            if x + width > 24:
                x, y = 0, y + height
            height = HEIGHT[kind]
            shape, defaults, options = look(kind, unit)
            made.append({
                "id": number, "type": shape, "title": name, "description": says, "datasource": SOURCE,
                "gridPos": {"h": height, "w": width, "x": x, "y": y},
                "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
                "targets": [{"refId": ref, "datasource": SOURCE, "expr": expr, "legendFormat": legend or "__auto"}
                            for ref, (expr, legend) in zip("ABCDEFGH", queries)],
            })
            x += width
        y += height
    return made


def variable(name, label, metric, of):
    query = f"label_values(udp_proxy_{metric}{{{of}}}, {name})"
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "definition": query,
            "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1, "multi": True, "includeAll": True,
            "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}}


def dashboard():
    in_namespace = 'namespace=~"$namespace"'
    in_job = in_namespace + ',job=~"$job"'
    return {
        "uid": "udp-proxy", "title": "udp-proxy", "tags": ["statsd"], "schemaVersion": 39, "version": 1,
        "editable": True, "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "timezone": "",
        "annotations": {"list": []}, "links": [],
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1},
            variable("namespace", "Namespace", "build_info", ""),
            variable("job", "Release", "build_info", in_namespace),
            variable("instance", "Proxy", "build_info", in_job),
            variable("target", "Target", "target_up", in_job),
        ]},
        "panels": panels(),
    }


def main():
    _, what, path = sys.argv
    text = json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"
    file = pathlib.Path(path)
    if what == "write":
        file.write_text(text)
    elif file.read_text() != text:
        sys.exit(f"{path} is not what its rows say: {sys.argv[0]} write {path}")


main()
