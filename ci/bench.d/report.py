"""Makes docs/benchmarks.md (from benchmarks_head.md beside this file) and its plots from the results of a run.

    report.py target/bench/goals.jsonl
"""
import json, platform, statistics, subprocess, sys
from collections import defaultdict
from datetime import date
from pathlib import Path

from ratios import ratio

ROOT = Path(__file__).resolve().parents[2]
NOT_PEERS = {"udp-proxy", "udp-proxy-pack", "udp-proxy-linger", "floor", "floor-plain", "floor-pack", "discard", "naive", "replaced"}
COLOURS = {"ours": "#2a78d6", "floor": "#8a94a3", "peer": "#c9cfd8"}


def load(path):
    cells, zero = defaultdict(list), {}
    for line in open(path):
        result = json.loads(line)
        if "cpu_us" in result:
            cells[result["row"], result["name"]].append(result)
        else:
            zero[result["row"], result["name"]] = result
    return cells, zero


def median(results, key):
    values = [r[key] for r in results if r[key] is not None]
    return statistics.median(values) if values else None


def names(cells, row):
    found = [name for r, name in cells if r == row]
    return sorted(found, key=lambda name: median(cells[row, name], "cpu_us"))


def table(cells, row):
    lines = ["| relay | CPU µs a datagram (spread) | of udp-proxy's | delivered | p50 µs | p99 µs | peak memory MiB |", "|---|---|---|---|---|---|---|"]
    ours = "udp-proxy-pack" if row == "packed" else "udp-proxy"
    for name in names(cells, row):
        results = cells[row, name]
        cpu = [r["cpu_us"] for r in results]
        share = median(results, "delivered")
        delivered = "–" if share is None else "all" if share >= 1 else f"{share:.1%}"
        shown = f"**{name}**" if name.startswith("udp-proxy") else name
        p50, p99 = (f"{median(results, k):,.0f}" if share is not None else "–" for k in ("p50_us", "p99_us"))
        lines.append(f"| {shown} | {median(results, 'cpu_us'):.2f} ({min(cpu):.2f}–{max(cpu):.2f}) | {ratio(cells, row, name, ours):.2f} | {delivered} | {p50} | {p99} | {median(results, 'memory_kib') / 1024:.1f} |")
    return lines


def best_peer(cells, row, key="cpu_us", packing=False):
    peers = [n for n in names(cells, row) if n not in NOT_PEERS and ("pack" in n) == packing]
    return min(peers, key=lambda n: median(cells[row, n], key)) if peers else None


def verdict(found, goal):
    return "not measured" if found is None else f"{found:.2f}, {'met' if found <= goal else 'not met'}"


def goals(cells, zero):
    lines = ["| work | goal | measured |", "|---|---|---|"]

    def row(work, parts):
        goal = "; ".join(f"≤ {limit} × {what}" for what, _, limit in parts)
        found = "; ".join(f"{verdict(value, limit)} ({what})" for what, value, limit in parts)
        lines.append(f"| {work} | {goal} | {found} |")

    peer = best_peer(cells, "equal")
    row("exact pass-through, equal sizes", [(f"the best pass-through peer ({peer})", ratio(cells, "equal", "udp-proxy", peer), 0.35), ("the floor", ratio(cells, "equal", "udp-proxy", "floor"), 1.10)])
    peer = best_peer(cells, "mixed")
    row("exact pass-through, mixed sizes", [(f"the best pass-through peer ({peer})", ratio(cells, "mixed", "udp-proxy", peer), 0.70), ("the floor", ratio(cells, "mixed", "udp-proxy", "floor"), 1.05)])
    peer, packer = best_peer(cells, "packed"), best_peer(cells, "packed", packing=True)
    row("StatsD lines, `pack=1432`", [
        (f"the best pass-through peer ({peer})", ratio(cells, "packed", "udp-proxy-pack", peer), 0.27),
        (f"the best packing peer ({packer})", ratio(cells, "packed", "udp-proxy-pack", packer), 0.85),
        ("receiving and throwing away, with `linger=5ms`", ratio(cells, "packed", "udp-proxy-linger", "discard"), 1.15)])
    for flows in ("1", "64"):
        label = f"zero loss {flows} flows"
        rates = {name: r["rate"] for (r_label, name), r in zero.items() if r_label == label}
        peers = {n: rate for n, rate in rates.items() if n not in NOT_PEERS}
        if not peers:
            continue
        best = max((n for n in peers if "pack" not in n), key=peers.get)
        for ours, goal in (("udp-proxy", 2), ("udp-proxy-pack", 4)):
            found = rates.get(ours, 0) / max(peers[best], 1)
            capped = zero[label, ours]["limited_by"] == "generator"
            note = "; the generator could not send more" if capped else ""
            lines.append(f"| zero-loss rate, {flows} flow{'s' * (flows != '1')}, {'packed' if 'pack' in ours else 'pass-through'} | ≥ {goal} × the best peer | {rates.get(ours, 0):,}/s against {peers[best]:,}/s ({best}): {found:.1f}, {'met' if found >= goal else 'not met'}{note} |")
    for sizes in ("equal", "mixed"):
        cost = lambda name: (median(cells[f"{sizes} 8 targets", name], "cpu_us") - median(cells[f"{sizes} 2 targets", name], "cpu_us")) / 6
        if cells[f"{sizes} 8 targets", "udp-proxy"]:
            found = cost("udp-proxy") / cost("floor")
            lines.append(f"| cost of a further target (2 → 8), {sizes} sizes | ≤ the floor's | {cost('udp-proxy'):.2f} µs against {cost('floor'):.2f}: {found:.2f}, {'met' if found <= 1.05 else 'not met'} |")
    for rate in ("1k/s", "30k/s"):
        label = f"latency {rate}"
        for key, name in (("p50_us", "p50"), ("p99_us", "p99")):
            peer = best_peer(cells, label, key)
            if peer:
                found, theirs = median(cells[label, "udp-proxy"], key), median(cells[label, peer], key)
                lines.append(f"| latency at {rate}, {name}, source to sink | ≤ the best peer | {found:,.0f} µs against {theirs:,.0f} ({peer}): {found / theirs:.2f}, {'met' if found <= theirs * 1.02 else 'not met'} |")
    well, dead = cells["62 targets", "udp-proxy"], cells["64 targets, 2 dead or stuck", "udp-proxy"]
    if well and dead:
        found = median(dead, "cpu_us") / median(well, "cpu_us")
        lines.append(f"| 64 targets, one of them dead and one stuck | the healthy ones lose nothing and cost the same | delivered to each healthy one {median(dead, 'delivered'):.2%}; CPU of all 64 is {found:.2f} of that of the 62 alone |")
    rest = {n: median(cells["equal", n], "memory_rest_kib") / 1024 for n in names(cells, "equal")}
    small = min((n for n in rest if n in ("udp-fanout", "samplicator", "rsyslog", "naive")), key=rest.get)
    lines.append(f"| memory at rest | ≤ the smallest Rust or C peer + 8 MiB | {rest['udp-proxy']:.1f} MiB against {rest[small]:.1f} ({small}): {'met' if rest['udp-proxy'] <= rest[small] + 8 else 'not met'} |")
    return lines


def plot(cells, row, title, file):
    """One bar for each relay: CPU of a datagram, with its spread. Those that lost much are said to."""
    shown = names(cells, row)
    values = [median(cells[row, n], "cpu_us") for n in shown]
    top = max(max(r["cpu_us"] for r in cells[row, n]) for n in shown) * 1.12
    left, width, step = 190, 560, 30
    x = lambda v: left + v / top * width
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {70 + step * len(shown)}" font-family="system-ui, sans-serif" font-size="13">',
           '<rect width="100%" height="100%" fill="#ffffff"/>', f'<text x="16" y="26" font-size="15" font-weight="600" fill="#1c2430">{title}</text>']
    for i, (name, value) in enumerate(zip(shown, values)):
        y = 46 + i * step
        kind = "ours" if name.startswith("udp-proxy") else "floor" if name in NOT_PEERS else "peer"
        share = median(cells[row, name], "delivered")
        lost = "" if share is None or share > 0.999 else f", lost {1 - share:.0%}"
        spread = [r["cpu_us"] for r in cells[row, name]]
        weight = ' font-weight="600"' if kind == "ours" else ""
        out += [f'<text x="{left - 10}" y="{y + 14}" text-anchor="end" fill="#1c2430"{weight}>{name}</text>',
                f'<rect x="{left}" y="{y}" width="{x(value) - left:.1f}" height="18" rx="2" fill="{COLOURS[kind]}"/>',
                f'<path d="M{x(min(spread)):.1f} {y + 9}H{x(max(spread)):.1f}" stroke="#1c2430" stroke-width="1.5"/>',
                f'<text x="{x(max(spread)) + 8:.1f}" y="{y + 14}" fill="#1c2430">{value:.2f} µs{lost}</text>']
    out += [f'<text x="{left}" y="{62 + step * len(shown)}" fill="#5b6675" font-size="12">CPU µs for each datagram that reached the relay, median; the line is the spread. Shorter is better.</text>', "</svg>", ""]
    (ROOT / "docs/img" / file).write_text("\n".join(out))


def circumstances(cells):
    """One line: where, when and what was measured."""
    rounds = 1 + max(r["round"] for results in cells.values() for r in results)
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    processors = len([line for line in open("/proc/cpuinfo") if line.startswith("processor")])
    return f"Machine: {model}, {processors} CPUs, Linux {platform.release()}; {date.today()}; commit {commit}; {rounds} interleaved rounds, medians."


def main():
    cells, zero = load(sys.argv[1])
    head = (Path(__file__).parent / "benchmarks_head.md").read_text()
    lines = [circumstances(cells), "", *goals(cells, zero)]
    plots = {"equal": "Equal sizes (64 bytes), 2 targets, 100,000/s", "mixed": "Mixed sizes (30–150 bytes), 2 targets, 100,000/s", "packed": "StatsD lines (30–150 bytes), packed by those that can, 2 targets, 100,000/s"}
    for row, title in plots.items():
        plot(cells, row, title, f"bench-{row}.svg")
        lines += ["", f"## {title}", "", f"![CPU for each datagram: {title}](img/bench-{row}.svg)", "", *table(cells, row)]
    for row in ("latency 1k/s", "latency 30k/s"):
        if names(cells, row):
            lines += ["", f"## {row.capitalize()}", "", *table(cells, row)]
    if zero:
        lines += ["", "## Zero-loss rate", "", "The highest rate (in steps of two fifths) at which everything was delivered twice in a row.", "", "| relay | 1 flow | 64 flows |", "|---|---|---|"]
        for name in sorted({n for _, n in zero}, key=lambda n: -zero.get(("zero loss 1 flows", n), {"rate": 0})["rate"]):
            rates = [zero.get((f"zero loss {flows} flows", name)) for flows in ("1", "64")]
            lines.append(f"| {name} | " + " | ".join("–" if r is None else f"{r['rate']:,}/s" + (" (generator's limit)" if r["limited_by"] == "generator" else "") for r in rates) + " |")
    text = head.replace("<!-- results -->", "\n".join(lines))
    (ROOT / "docs/benchmarks.md").write_text(text)


if __name__ == "__main__":
    main()
