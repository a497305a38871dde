#!/usr/bin/env python3
"""The rules in a rendered chart, YAML on stdin.

  rules.py groups            what `promtool` and Prometheus load: the groups of the PrometheusRule
  rules.py alerts            the names of the alerts, a line each
  rules.py cases TEST…       fails unless each alert has a case in which it fires, and one in which it does not
"""
import sys

import yaml

rule = next(d for d in yaml.safe_load_all(sys.stdin) if d and d["kind"] == "PrometheusRule")
groups = rule["spec"]["groups"]
alerts = [r["alert"] for g in groups for r in g["rules"] if "alert" in r]

match sys.argv[1:]:
    case ["groups"]:
        yaml.safe_dump({"groups": groups}, sys.stdout, sort_keys=False, width=1000)
    case ["alerts"]:
        print("\n".join(alerts))
    case ["cases", *tests]:
        seen = {(case["alertname"], bool(case.get("exp_alerts")))
                for file in tests for test in yaml.safe_load(open(file))["tests"] for case in test["alert_rule_test"]}
        missing = [f"{alert}: no case in which it {'fires' if fires else 'does not fire'}"
                   for alert in alerts for fires in (True, False) if (alert, fires) not in seen]
        sys.exit("\n".join(missing) if missing else 0)
