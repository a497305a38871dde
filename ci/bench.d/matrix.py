"""Makes docs/benchmarks-matrix.md of a run of `ci/bench full`: every cell of the matrix, and one table over all.

    matrix.py target/bench/full.jsonl
"""
import re, sys

from report import ROOT, best_peer, circumstances, load, median, ratio, table

HEAD = """# The whole matrix

Every relay at every size, rate, number of targets and number of flows. How it is measured, who the relays are, and what
it means: [benchmarks.md](benchmarks.md). Made by `ci/bench.d/matrix.py`; to repeat it (an hour):

    ci/bench full && python3 ci/bench.d/matrix.py target/bench/full.jsonl

Where the rate is *max*, the generator sends more than the machine can relay: look at what was delivered as well as at
the CPU, which is for each datagram that reached the relay. A relay that loses leaves the machine to the others.
"""
SIZES = {"64": "64 bytes", "30..150": "30 to 150 bytes", "1400": "1,400 bytes"}


def shown(row):
    size, rate, targets, flows = re.fullmatch(r"(\S+) (\S+) (\d+) targets (\d+) flows", row).groups()
    return f"{SIZES[size]}, {rate}{'' if rate == 'max' else '/s'}, {targets} targets, {flows} flow{'s' * (flows != '1')}"


def share(cells, row, name):
    return "all" if median(cells[row, name], "delivered") >= 1 else f"{median(cells[row, name], 'delivered'):.1%}"


def overview(cells, rows):
    lines = ["| work | udp-proxy µs | delivered | of the floor | best peer | its µs | delivered | ours of its | with `pack=1432` µs | delivered |", "|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        ours, packed, peer = (row, "udp-proxy"), (row, "udp-proxy-pack"), best_peer(cells, row)
        lines.append("| " + " | ".join([
            shown(row), f"{median(cells[ours], 'cpu_us'):.2f}", share(cells, *ours), f"{ratio(cells, row, 'udp-proxy', 'floor'):.2f}",
            peer, f"{median(cells[row, peer], 'cpu_us'):.2f}", share(cells, row, peer), f"{ratio(cells, row, 'udp-proxy', peer):.2f}",
            f"{median(cells[packed], 'cpu_us'):.2f}", share(cells, *packed)]) + " |")
    return lines


def main():
    cells, _ = load(sys.argv[1])
    rows = list(dict.fromkeys(row for row, _ in cells))
    lines = [HEAD, circumstances(cells), "", "The best peer is the one that passes datagrams through with the least CPU for each.", "", *overview(cells, rows)]
    for row in rows:
        lines += ["", f"## {shown(row)[0].upper()}{shown(row)[1:]}", "", *table(cells, row)]
    (ROOT / "docs/benchmarks-matrix.md").write_text("\n".join(lines) + "\n")


main()
