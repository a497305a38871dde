#!/usr/bin/env python3
"""Asks a running Prometheus what dashboard and rules ask it, and fails for everything that has no answer.

  queries.py URL SECONDS dashboard FILE   every query of every panel, and of every variable
  queries.py URL SECONDS rules FILE       every series that a rule reads (the rule as a whole speaks only when it fires)
  queries.py URL SECONDS firing COUNT     prints the alerts that fire, once there are COUNT

A query has an answer when at least one value is a number. What has none is asked again for SECONDS.
"""
import json
import math
import re
import sys
import time
import urllib.parse
import urllib.request

import yaml

url, patience = sys.argv[1], float(sys.argv[2])


def ask(path, **parameters):
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{parameters}: {json.load(error)['error']}")


def answered(query):
    if values := re.fullmatch(r"label_values\((.*), (\w+)\)", query):
        return bool(ask(f"label/{values[2]}/values", **{"match[]": values[1]}))
    return any(not math.isnan(float(sample["value"][1])) for sample in ask("query", query=query)["result"])


def of_dashboard(file):
    model = json.load(open(file))
    for variable in model["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", filled(variable["query"]["query"])
    for panel in model["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']} {target['refId']}", filled(target["expr"])


def filled(query):
    """With the variables as Grafana fills them in for `All`."""
    query = re.sub(r"\$(namespace|job|instance|target)\b", ".*", query).replace("$__rate_interval", "1m")
    return query if "$" not in query else sys.exit(f"a variable that is not known: {query}")


def of_rules(file):
    for group in yaml.safe_load(open(file))["groups"]:
        for rule in group["rules"]:
            for selector in re.findall(r"[a-z_]\w*\{[^}]*\}", rule["expr"]):
                yield f"alert {rule['alert']}", selector


def until(done):
    end = time.monotonic() + patience
    while not (result := done()) and time.monotonic() < end:
        time.sleep(0.3)
    return result


def firing(count):
    def now():
        seen[:] = sorted({a["labels"]["alertname"] for a in ask("alerts")["alerts"] if a["state"] == "firing"})
        return len(seen) >= int(count)
    seen = []
    until(now)
    print(*seen)


def main():
    what, argument = sys.argv[3:]
    if what == "firing":
        return firing(argument)
    waiting = list({"dashboard": of_dashboard, "rules": of_rules}[what](argument))
    count = len(waiting)

    def none_left():
        waiting[:] = [(name, query) for name, query in waiting if not answered(query)]
        return not waiting
    if not until(none_left):
        sys.exit("\n".join(f"{name} has no answer: {query}" for name, query in waiting))
    print(f"{count} queries have an answer")


main()
