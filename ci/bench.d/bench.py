"""Measures relays against each other: real processes on loopback, rounds interleaved, medians and spread.

    bench.py MODE RESULTS [ROW…]     MODE: smoke, goals, full; RESULTS: a file of JSON lines, written anew

With ROWs only these are measured, and added to the results.

Each measurement starts a relay, sinks and a generator, and takes from the kernel what the relay's threads have
used (/proc/PID/task/*/schedstat, user and system) and what its socket had to throw away (/proc/net/udp): CPU per
received datagram. What is delivered is counted by the sinks. What generator and sinks cost is not the relay's.
"""
import json, os, socket, statistics, subprocess, sys, tempfile, time
from pathlib import Path

import peers

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROXY = TARGET / "release/udp-proxy"
BASELINES = Path(os.environ["BASELINES"])


def free_ports(count):
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def cpu_seconds(pid):
    """User and system time of all threads, in nanoseconds as the scheduler counts it."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            total += int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0])
        except FileNotFoundError:
            pass
    return total / 1e9


def peak_kib(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


class Relay:
    """A running relay and all its processes."""

    def __init__(self, command, port, folder):
        self.log = open(folder / "relay.log", "w")
        self.process = subprocess.Popen([str(word) for word in command], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, cwd=folder)
        deadline = time.monotonic() + 15
        while not listens(port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{command[0]} does not listen: {(folder / 'relay.log').read_text()[-400:]}")
            time.sleep(0.01)

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def settle(relay):
    """Waits until the relay has done what it has to do with what it took: some have long queues of their own."""
    used, deadline = None, time.monotonic() + 5
    time.sleep(0.2)
    while time.monotonic() < deadline and (used is None or relay.cpu() - used > 0.001):
        used = relay.cpu()
        time.sleep(0.1)


def udp_sockets(port):
    """The rows of /proc/net/udp and udp6 that stand for sockets bound to a port."""
    rows = (line.split() for name in ("udp", "udp6") for line in open(f"/proc/net/{name}").readlines()[1:])
    return [row for row in rows if row[1].endswith(f":{port:04X}")]


def listens(port):
    return bool(udp_sockets(port))


def kernel_drops(port):
    """Datagrams that the kernel threw away at a port, because nobody had read the ones before."""
    return sum(int(row[-1]) for row in udp_sockets(port))


def generator(work, port):
    """Bursts that are there at once (feed), or each datagram by itself, at its time and with it (load)."""
    shape = ["--rate", work["rate"], "--size", work["size"], "--flows", str(work["flows"]), "--burst", str(work["burst"])]
    if work["by"] == "load":
        return [PROXY, "load", "--target", f"127.0.0.1:{port}", "--json", "--duration", f"{int(work['seconds'] * 1000)}ms", *shape]
    return [BASELINES / "feed", f"127.0.0.1:{port}", "--ms", str(int(work["seconds"] * 1000)), *shape]


def measure(name, work):
    """One measurement: what the relay used, what arrived."""
    stuck = work.get("stuck", 0)
    dead = work.get("dead", 0)
    listen, *ports = free_ports(1 + work["targets"] - stuck)
    healthy = ports[: len(ports) - dead]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        # A Unix socket that nobody reads is full at once, and then its sender has to wait: a UDP one never has.
        unread = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(stuck)]
        for number, s in enumerate(unread):
            s.bind(str(folder / f"stuck{number}"))
        targets = [f"127.0.0.1:{port}" for port in ports] + [f"unixgram://{s.getsockname()}" for s in unread]
        counting = ["--count"] if work["count_only"] else []
        meter = subprocess.Popen([BASELINES / "meter", *counting, *map(str, healthy)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert meter.stdout.readline() == "ready\n"
        relay = None
        try:
            relay = Relay(peers.command(name, listen, targets, folder, PROXY, BASELINES), listen, folder)
            memory_before = peak_kib(relay.process.pid)
            before = relay.cpu()
            sent = json.loads(subprocess.run(generator(work, listen), capture_output=True, text=True, check=False).stdout)
            settle(relay)
            used, peak, lost = relay.cpu() - before, peak_kib(relay.process.pid), kernel_drops(listen)
            # A counting sink throws away by trade; with any other, loss there would be the bench's own.
            sink_lost = 0 if counting else sum(kernel_drops(port) for port in healthy)
            report, _ = meter.communicate(timeout=20)
        finally:
            if relay:
                relay.stop()
            if meter.poll() is None:
                meter.kill()
                meter.wait()
            for s in unread:
                s.close()
    ports = json.loads(report)
    shares = [port["lines"] / max(sent["sent"], 1) for port in ports]
    received = max(sent["sent"] - lost, 1)
    return {
        "name": name, **{k: v for k, v in work.items() if k != "seconds"}, "sent": sent["sent"], "received": received, "sink_lost": sink_lost, "rate_achieved": sent["rate"],
        "delivered": min(shares) if name != "discard" else None, "cpu_us": used / received * 1e6, "cpu_share": used / max(sent["seconds"], 1e-9),
        "memory_rest_kib": memory_before, "memory_kib": peak, "p50_us": statistics.median(p["p50_us"] for p in ports), "p99_us": max(p["p99_us"] for p in ports),
    }


def work(**changes):
    return {"rate": "100k", "size": EQUAL, "flows": 16, "targets": 2, "burst": 32, "seconds": 1.5, "by": "feed", "count_only": False, **changes}


EQUAL, MIXED, LARGE = "64", "30..150", "1400"


def rows(mode, available):
    """(label, work, names) of what is measured in one round."""
    relays = [p for p in available if p != "discard"]
    passing = [p for p in relays if "pack" not in p and p != "udp-proxy-linger"]
    if mode == "smoke":
        small = work(seconds=1.0)
        return [
            ("equal", small, ["udp-proxy", "floor", "naive", "replaced"]),
            ("mixed", {**small, "size": MIXED}, ["udp-proxy", "floor-plain", "naive"]),
            ("packed", {**small, "size": MIXED}, ["udp-proxy-pack", "floor-pack", "naive", "discard"]),
        ]
    if mode == "goals":
        # What is sent to many targets is counted by the kernel: reading it would take more than the machine has.
        many = {"rate": "20k", "count_only": True}
        return [
            ("equal", work(), passing),
            ("mixed", work(size=MIXED), passing),
            ("packed", work(size=MIXED), ["udp-proxy-pack", "udp-proxy-linger", "floor-pack", "statsdproxy-mirror-pack", "discard", *[p for p in passing if p not in ("udp-proxy", "floor", "floor-plain")]]),
            *[(f"{label} {targets} targets", work(**many, targets=targets, size=size), ["udp-proxy", "floor"]) for label, size in (("equal", EQUAL), ("mixed", MIXED)) for targets in (2, 8)],
            ("62 targets", work(**{**many, "rate": "5k"}, targets=62), ["udp-proxy"]),
            ("64 targets, 2 dead or stuck", work(**{**many, "rate": "5k"}, targets=64, dead=1, stuck=1), ["udp-proxy"]),
            ("latency 1k/s", work(rate="1k", burst=1, by="load"), passing),
            ("latency 30k/s", work(rate="30k", burst=9, by="load"), passing),
        ]
    return [
        (f"{size} {rate} {targets} targets {flows} flows", work(size=size, rate=rate, targets=targets, flows=flows, seconds=1.0), [*relays, "discard"])
        for size in (EQUAL, MIXED, LARGE) for rate in ("30k", "100k", "max") for targets in (2, 8) for flows in (1, 64)
    ]


def loss_free(name, flows, out):
    """The highest rate, in steps of two fifths, at which a relay delivers everything twice in a row.

    Equal sizes for all, so that the generator can go up to what the relay takes."""
    best = 0
    for step in range(14):
        rate = int(20_000 * 1.4**step)
        lost = False
        for _ in range(2):
            result = measure(name, work(rate=str(rate), flows=flows, seconds=0.8, count_only="pack" not in name))
            if result["rate_achieved"] < rate * 0.9:
                out({"row": f"zero loss {flows} flows", "name": name, "rate": best, "limited_by": "generator"})
                return
            lost |= result["delivered"] < 1
        if lost:
            break
        best = rate
    out({"row": f"zero loss {flows} flows", "name": name, "rate": best, "limited_by": "loss"})


def main():
    mode, results, only = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    rounds = int(os.environ.get("ROUNDS", {"smoke": 3, "goals": 5, "full": 3}[mode]))
    available = peers.available()
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a" if only else "w") as file:
        def out(result):
            file.write(json.dumps(result) + "\n")
            file.flush()
        for number in range(rounds):
            for label, task, names in rows(mode, available):
                if only and label not in only:
                    continue
                # Each round in another order, so that nobody always comes first.
                for name in names[number % len(names):] + names[: number % len(names)]:
                    try:
                        out({"row": label, "round": number, **measure(name, task)})
                    except (RuntimeError, json.JSONDecodeError, subprocess.TimeoutExpired) as error:
                        print(f"skip {label} {name}: {str(error)[:200]}", flush=True)
                print(f"round {number + 1} of {rounds}: {label}", flush=True)
        if mode == "goals" and not only:
            ours = [p for p in available if p in ("udp-proxy", "udp-proxy-pack")]
            for name in ours + [p for p in reversed(available) if p not in ours and p not in ("discard", "floor-plain", "udp-proxy-linger")]:
                for flows in (1, 64):
                    loss_free(name, flows, out)
                    print(f"zero loss, {flows} flows: {name}", flush=True)


main()
