"""Holds the ratios of a run: lines 'ok …' or 'fail …'. Absolute times are nobody's promise on a shared machine.

    ratios.py MODE RESULTS
"""
import json, statistics, sys
from collections import defaultdict

# row, ours, theirs, at most: the goal, and what a smoke run on a busy machine must hold at least.
HELD = [
    ("equal", "udp-proxy", "floor", 1.10, 1.6),
    ("equal", "udp-proxy", "naive", 0.35, 0.6),
    ("equal", "udp-proxy", "replaced", 0.35, 0.5),
    ("mixed", "udp-proxy", "floor-plain", 1.05, 1.5),
    ("mixed", "udp-proxy", "naive", 0.70, 0.95),
    ("packed", "udp-proxy-pack", "floor-pack", 0.85, 1.5),
    ("packed", "udp-proxy-pack", "naive", 0.27, 0.6),
]


def load(path):
    cells = defaultdict(list)
    for line in open(path):
        result = json.loads(line)
        if "cpu_us" in result:
            cells[result["row"], result["name"]].append(result)
    return cells


def ratio(cells, row, ours, theirs, key="cpu_us"):
    """Median of the ratios round by round, so that a drift of the machine does not count."""
    their = {r["round"]: r[key] for r in cells[row, theirs]}
    pairs = [r[key] / their[r["round"]] for r in cells[row, ours] if their.get(r["round"])]
    return statistics.median(pairs) if pairs else None


def main():
    mode, cells = sys.argv[1], load(sys.argv[2])
    for row, ours, theirs, goal, bound in HELD:
        found = ratio(cells, row, ours, theirs)
        if found is None:
            print(f"fail {row}: {ours} / {theirs} was not measured")
            continue
        limit = bound if mode == "smoke" else goal
        verdict = "ok" if found <= limit else "fail" if mode == "smoke" else "missed"
        print(f"{verdict} {row}: CPU of {ours} is {found:.2f} of {theirs}'s (at most {limit}; the goal is {goal})")
    for (row, name), results in cells.items():
        if name.startswith("udp-proxy") and "max" not in row and mode == "smoke":
            share = statistics.median(r["delivered"] for r in results)
            # A stall of the machine may overrun a receive buffer; what is lost beyond that is the relay's.
            print(f"{'ok' if share >= 0.99 else 'fail'} {row}: {name} delivered {share:.4f} of what was sent (at least 0.99)")


if __name__ == "__main__":
    main()
