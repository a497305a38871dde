"""The receivers: each class starts one, says when it listens, and reads back what it knows as facts (see plan.py).

After `end()` the facts are those it had at its end.
"""
import glob
import os
import re
import socket
import subprocess
import threading
import time
import urllib.request
from collections import defaultdict

import plan

DEADLINE = 20  # seconds for anything that must come true


def until(what, fact):
    """Waits for a fact, with a deadline."""
    end, pause = time.monotonic() + DEADLINE, 0.0002
    while not (result := fact()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {DEADLINE} s: {what}")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
    return result


def free_port(kinds=(socket.SOCK_DGRAM, socket.SOCK_STREAM), taken=set()):
    """A port that is free now, below the range from which the system itself hands ports out."""
    for port in range(20_000 + os.getpid() % 9_000, 32_000):
        if port in taken:
            continue
        taken.add(port)
        try:
            for kind in kinds:
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port))
            return port
        except OSError:
            continue
    raise OSError("no free port")


def udp_sockets(ports):
    """{port: (bytes waiting to be read, datagrams the kernel dropped)} of the bound ones among `ports`."""
    found = defaultdict(lambda: (0, 0))
    with open("/proc/net/udp", encoding="ascii") as table:
        for row in list(table)[1:]:
            cells = row.split()
            port = int(cells[1].split(":")[1], 16)
            if port in ports:
                waiting, lost = found[port]
                found[port] = (waiting + int(cells[4].split(":")[1], 16), lost + int(cells[12]))
    return found


class Process:
    """A process of ours: its log, and its end by pid."""

    def __init__(self, name, command, work, **more):
        self.name, self.log = name, os.path.join(work, name + ".log")
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **more)

    def alive(self):
        if self.child.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.child.returncode}: {self.text()[-600:]}")
        return True

    def end(self):
        self.child.terminate()
        try:
            return self.child.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()


class NpmStatsd:
    """etsy's server. Values come from its admin port; sets from what its console backend prints when it ends."""
    name = "npm statsd"

    def __init__(self, tools, work, unix=False):
        assert not unix
        self.port, self.admin = free_port(), free_port()
        home = os.path.join(tools, "npm/node_modules/statsd")
        config = os.path.join(work, "statsd.js")
        with open(config, "w", encoding="utf-8") as out:
            # Nothing is flushed, so nothing forgotten, before the end.
            out.write(f"{{ address: '127.0.0.1', port: {self.port}, mgmt_address: '127.0.0.1', mgmt_port: {self.admin},"
                      f" flushInterval: 3600000, backends: ['./backends/console'] }}")
        self.process = Process("statsd", ["node", "--no-deprecation", "stats.js", config], work, cwd=home)
        self.address, self.ports, self.last = f"127.0.0.1:{self.port}", [self.port], {}

    def can_tell(self, measure, _series):
        return measure != "histogram-count"  # to it a histogram is a counter

    def listens(self):
        if self.port not in udp_sockets([self.port]):
            return False
        try:
            return b"up" in self._ask("health", b"\n")
        except OSError:
            return False

    def _ask(self, command, last):
        with socket.create_connection(("127.0.0.1", self.admin), DEADLINE) as admin:
            admin.sendall(command.encode() + b"\n")
            answer = b""
            while not answer.endswith(last):
                more = admin.recv(65536)
                if not more:
                    break
                answer += more
        return answer

    def facts(self, expected):
        known = {}
        for key, value in self._table("counters"):
            sums = ("histogram-sum", key) in expected
            known["histogram-sum" if sums else "counter", key] = float(value)
        for key, value in self._table("gauges"):
            known["gauge", key] = float(value)
        for key, value in self._table("timers"):
            values = tuple(float(word) for word in value.strip("[] \n").split(",") if word.strip())
            known["timer-values", key] = values
            known["timer-count", key], known["timer-sum", key] = len(values), sum(values)
        if self.process.child.returncode is None:  # sets are not to be had before the end: taken as right until then
            known.update({fact: value for fact, value in expected.items() if fact[0] == "set"})
        else:
            printed = self.process.text().rsplit("sets: {", 1)[-1]
            for name, value in re.findall(r"'(interop[^']*)': \[([^\]]*)\]", printed):
                known["set", npm_series(name)] = value.count("'") // 2
        return known

    def _table(self, what):
        if self.process.child.returncode is None:
            self.last[what] = self._ask(what, b"END\n\n").decode()
        for name, value in re.findall(r"'(interop[^']*)':\s*(\[[^\]]*\]|[-\d.e+]+)", self.last[what]):
            yield npm_series(name), value

    def end(self):
        for what in ("counters", "gauges", "timers"):
            list(self._table(what))
        self.process.end()


def npm_series(name):
    name, *tags = name.split(";")
    return plan.series(name, [tag.replace("=", ":", 1) for tag in tags])


class StatsdExporter:
    """Prometheus's exporter. Values come from /metrics."""
    name = "statsd_exporter"

    def __init__(self, tools, work, unix=False):
        self.web, self.ports, self.last = free_port(), [], None
        listen = ["--statsd.listen-udp=", "--statsd.listen-tcp="]
        if unix:
            self.path = os.path.join(work, "exporter.sock")
            self.address = "unixgram://" + self.path
            listen.append("--statsd.listen-unixgram=" + self.path)
        else:
            self.ports = [free_port()]
            self.address = f"127.0.0.1:{self.ports[0]}"
            listen[0] += self.address
        self.process = Process("exporter", [os.path.join(tools, "bin/statsd_exporter"),
                                            f"--web.listen-address=127.0.0.1:{self.web}", *listen], work)

    def can_tell(self, measure, _series):
        return measure not in ("set", "timer-values")

    def listens(self):
        if not (self.ports[0] in udp_sockets(self.ports) if self.ports else os.path.exists(self.path)):
            return False
        try:
            return bool(self._metrics())
        except OSError:
            return False

    def _metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/metrics", timeout=DEADLINE) as answer:
            return answer.read().decode()

    def facts(self, expected):
        known, types = {}, {}
        for line in (self.last or self._metrics()).splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                types[name] = kind
            found = re.fullmatch(r"(interop\w*?)(_sum|_count)?(\{[^}]*\})? (\S+)", line)
            if not found or "quantile=" in line:
                continue
            name, end, labels, value = found.groups()
            key = plan.series(name, [f"{k}:{v}" for k, v in re.findall(r'(\w+)="([^"]*)"', labels or "")])
            if end:
                timer = ("timer-sum", key) in expected
                scale = 1000 if timer and end == "_sum" else 1  # it keeps seconds
                known[("timer" if timer else "histogram") + end.replace("_", "-"), key] = float(value) * scale
            else:
                known[types[name], key] = float(value)
        return known

    def end(self):
        self.last = self._metrics()
        self.process.end()


class Collectd:
    """collectd's statsd plugin. Values come from its CSV files; it knows no tags, and gives set sizes per interval."""
    name = "collectd"

    def __init__(self, tools, work, unix=False):
        assert not unix
        home, self.data = os.path.join(tools, "collectd"), os.path.join(work, "collectd")
        self.ports = [free_port()]
        self.address = f"127.0.0.1:{self.ports[0]}"
        config = os.path.join(work, "collectd.conf")
        with open(config, "w", encoding="utf-8") as out:
            out.write(f"""
Hostname "h"
FQDNLookup false
Interval 0.5
BaseDir "{work}"
PIDFile "{work}/collectd.pid"
PluginDir "{home}/usr/lib/collectd"
TypesDB "{home}/usr/share/collectd/types.db"
LoadPlugin statsd
LoadPlugin csv
<Plugin csv>
  DataDir "{self.data}"
</Plugin>
<Plugin statsd>
  Host "127.0.0.1"
  Port "{self.ports[0]}"
  CounterSum true
  TimerCount true
</Plugin>
""")
        self.process = Process("collectd", [os.path.join(home, "usr/sbin/collectd"), "-f", "-C", config], work)

    def can_tell(self, measure, key):
        return measure in ("counter", "gauge", "set", "timer-count") and "{" not in key

    def listens(self):
        return self.ports[0] in udp_sockets(self.ports)

    def facts(self, expected):
        rows = defaultdict(list)
        for path in sorted(glob.glob(self.data + "/h/statsd/*-interop.*")):
            name = re.sub(r"-\d{4}-\d\d-\d\d$", "", os.path.basename(path))
            with open(path, encoding="ascii") as table:
                # A last row without its newline is still being written.
                rows[name] += [float(row.split(",")[1]) for row in table.read().split("\n")[1:-1]]
        known = {}
        for name, values in rows.items():
            if not values:
                continue
            kind, _, name = name.partition("-")
            if kind == "derive":
                known["counter", plan.series(name)] = values[-1]
            elif kind == "objects":
                known["set", plan.series(name)] = self._size(values, expected.get(("set", plan.series(name)), 0))
            elif kind == "gauge" and name.endswith("-count"):
                known["timer-count", plan.series(name[:-len("-count")])] = sum(values)
            elif kind == "gauge":
                known["gauge", plan.series(name)] = values[-1]
        return known

    @staticmethod
    def _size(values, expected):
        """A set that fell into two intervals has been counted in each: then only bounds are known."""
        seen = [value for value in values if value > 0]
        bounded = len(seen) > 1 and max(seen) <= expected <= sum(seen)
        return expected if bounded else sum(seen)

    def end(self):
        self.process.end()


class Recorder:
    """Keeps every datagram as it came."""
    name = "recorder"

    def __init__(self, work, unix=False):
        self.datagrams, self.marks, self.ports = [], set(), []
        if unix:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.path = os.path.join(work, "recorder.sock")
            self.socket.bind(self.path)
            self.address = "unixgram://" + self.path
        else:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
            self.socket.bind(("127.0.0.1", 0))
            self.ports = [self.socket.getsockname()[1]]
            self.address = f"127.0.0.1:{self.ports[0]}"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            datagram = self.socket.recv(1 << 17)
            self.datagrams.append(datagram)
            self.marks.update(line for line in datagram.split(b"\n") if line.startswith(b"raw.mark."))
