"""Plays the plan with every client through the proxy, and compares what each receiver then knows.

Usage: run.py PROXY TOOLS WORK. Prints one line for each check: `pass` or `fail`, a tab, what is claimed.
"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import traceback
from collections import defaultdict

import plan
from receivers import Collectd, NpmStatsd, Process, Recorder, StatsdExporter, free_port, udp_sockets, until

PROXY, TOOLS, WORK = sys.argv[1:4]
HERE = os.path.dirname(os.path.abspath(__file__))
PLAN = plan.make()
PLAN_FILE = os.path.join(WORK, "plan.json")
COMMANDS = {
    "datadog_py": [TOOLS + "/venv/bin/python", HERE + "/clients/datadog_py.py"],
    "statsd_py": [TOOLS + "/venv/bin/python", HERE + "/clients/statsd_py.py"],
    "hot_shots": ["node", HERE + "/clients/hot_shots.js"],
    "datadog_go": [TOOLS + "/bin/datadog_go"],
}
ALL, UNIX_ABLE = list(COMMANDS), [name for name in COMMANDS if name != "statsd_py"]
MTU = 1432  # what ?pack=mtu allows
# What the libraries read from the environment must not change what they send.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("DD_", "DATADOG_", "STATSD_", "UDP_PROXY_"))}


def verdict(good, claim, why=""):
    print("pass" if good else "fail", claim if good else f"{claim}: {why}", sep="\t", flush=True)


def no_complaints(claim, complaints):
    more = f" … and {len(complaints) - 5} more" if len(complaints) > 5 else ""
    verdict(not complaints, claim, "; ".join(complaints[:5]) + more)


class Client:
    """A client process that plays the next chunk when told to."""

    def __init__(self, name, transport, address):
        self.name = name
        self.child = subprocess.Popen(
            [*COMMANDS[name], PLAN_FILE, transport, address], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**ENVIRONMENT, "NODE_PATH": TOOLS + "/npm/node_modules"})

    def said(self, word):
        line = self.child.stdout.readline().strip()
        if line != word:
            raise RuntimeError(f"client {self.name} said '{line}' instead of '{word}'")

    def play(self):
        self.child.stdin.write("go\n")
        self.child.stdin.flush()
        self.said("done")

    def end(self):
        self.child.stdin.close()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def play(played, recorder, ports):
    """Plays `{client: (transport, address)}`, a chunk in turn; returns how many marks were sent beside.

    A mark after each chunk, and empty receive queues at all `ports`, say that everything has been read: nobody's
    socket buffer is ever asked to hold more than one chunk.
    """
    clients, marks = [], 0
    try:
        for name, where in played.items():
            clients.append(Client(name, *where))
        for client in clients:
            client.said("ready")
        for turn in range(max(len(PLAN["clients"][name]) for name in played)):
            for client in clients:
                if turn < len(PLAN["clients"][client.name]):
                    client.play()
                    marks += 1
                    mark(marks, *played[client.name])
                    arrived(marks, recorder, ports)
    finally:
        for client in clients:
            client.end()
    return marks


def mark(number, transport, address):
    family, where = socket.AF_UNIX, address
    if transport == "udp":
        host, port = address.rsplit(":", 1)
        family, where = socket.AF_INET, (host, int(port))
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"raw.mark.m%d:1|c" % number, where)


def arrived(number, recorder, ports):
    line = b"raw.mark.m%d:1|c" % number
    until(f"mark {number} at the recorder", lambda: line in recorder.marks)
    until("empty receive queues", lambda: all(waiting == 0 for waiting, _ in udp_sockets(ports).values()))


def sender_of(datagram):
    """Which client a datagram is from: it stands in every name."""
    found = re.search(rb"(?:interop|raw)\.(\w+)\.", datagram)
    return found.group(1).decode() if found else "?"


def by_client(datagrams):
    """{client: datagrams in order}, without the marks. Go's client joins its lines in the order of a map: any."""
    streams = defaultdict(list)
    for datagram in datagrams:
        client = sender_of(datagram)
        lines = datagram.split(b"\n")
        streams[client].append(b"\n".join(sorted(lines)) if client == "datadog_go" else datagram)
    streams.pop("mark", None)
    return dict(streams)


def lines_by_client(datagrams):
    """{client: lines in order}, without the marks and without the empty ones, which say nothing."""
    streams = defaultdict(list)
    for line in (line for datagram in datagrams for line in datagram.split(b"\n") if line):
        streams[sender_of(line)].append(line)
    streams.pop("mark", None)
    return {client: sorted(lines) if client == "datadog_go" else lines for client, lines in streams.items()}


def stream_differences(expected, found):
    wrong = []
    for client in sorted(expected.keys() | found.keys()):
        want, have = expected.get(client, []), found.get(client, [])
        at = next((i for i, pair in enumerate(zip(want, have)) if pair[0] != pair[1]), min(len(want), len(have)))
        if want != have:
            wrong.append(f"{client}: {len(have)} instead of {len(want)}, the first difference is number {at}: "
                         f"{have[at:at + 1]} instead of {want[at:at + 1]}")
    return wrong


def book_complaints(log, received, targets):
    """What is wrong with the books that the proxy closed with."""
    lines = [line for line in log.splitlines() if "balanced=" in line]
    if len(lines) != 1:
        return [f"{len(lines)} summary lines in its log: {log[-400:]}"]
    books = dict(re.findall(r"(\w+)=(\w+)", lines[0][lines[0].index("received="):]))
    expected = {"received": received, "targets": targets, "sent": received * targets, "queued": 0, "discarded": 0,
                "dropped": 0, "kernel_drops": 0, "balanced": "true"}
    return [f"{name} is {books.get(name)}, expected {value}" for name, value in expected.items()
            if books.get(name) != str(value)]


def reference(transport, names):
    """What the clients send, by sending it straight to a recorder."""
    work = os.path.join(WORK, "reference-" + transport)
    os.mkdir(work)
    recorder = Recorder(work, unix=transport == "unix")
    where = (transport, getattr(recorder, "path", recorder.address))
    play({name: where for name in names}, recorder, recorder.ports)
    return by_client(recorder.datagrams)


def scenario(title, clients, targets, references, flags=()):
    """`clients`: {name: transport}; `targets`: (receiver's class, on a Unix socket?, options).

    The recorder comes last. Returns each receiver with the facts that it ended with, for the self-check.
    """
    work = os.path.join(WORK, re.sub(r"\W+", "-", title))
    os.mkdir(work)
    expected_streams = {name: references[transport][name] for name, transport in clients.items()}
    lines = [line for stream in expected_streams.values() for datagram in stream for line in datagram.split(b"\n")]
    expected = plan.facts(PLAN, clients, lines)
    receivers, proxy = [], None
    try:
        for receiver, unix, _ in targets:
            receivers.append(receiver(work, unix) if receiver is Recorder else receiver(TOOLS, work, unix))
        *servers, recorder = receivers
        for server in servers:
            until(f"{server.name} listens", lambda: server.process.alive() and server.listens())

        sources = {"udp": f"127.0.0.1:{free_port()}", "unix": os.path.join(work, "proxy.sock")}
        command = [PROXY, "--admin", "off", "--no-metrics", *flags]
        for transport in set(clients.values()):
            command += ["--source", sources[transport] if transport == "udp" else "unixgram://" + sources[transport]]
        for (_, _, options), receiver in zip(targets, receivers):
            command += ["--target", f"{receiver.name.replace(' ', '-')}={receiver.address}{options}"]
        proxy = Process("proxy", command, work, env=ENVIRONMENT)
        port = int(sources["udp"].rsplit(":", 1)[1])
        ports = [port] + [port for receiver in receivers for port in receiver.ports]
        for transport in set(clients.values()):
            listens = (lambda: port in udp_sockets([port])) if transport == "udp" else (
                lambda: os.path.exists(sources["unix"]))
            until("the proxy listens", lambda: proxy.alive() and listens())

        marks = play({name: (transport, sources[transport]) for name, transport in clients.items()}, recorder, ports)
        for server in servers:
            settle(server, expected)
        lost = {port: lost for port, (_, lost) in udp_sockets(ports).items() if lost}
        code = proxy.end()
        for server in servers:
            server.end()
            server.known = server.facts(expected)
    finally:
        for process in [receiver.process for receiver in receivers if hasattr(receiver, "process")] + [proxy]:
            if process and process.child.returncode is None:
                process.end()

    for server in servers:
        no_complaints(f"{title}: {server.name} knows all {len(server.known)} values",
                      plan.differences(expected, server.known, server.can_tell))
    if "pack" in targets[-1][2]:
        check_packed(title, recorder, expected_streams)
    else:
        count = sum(map(len, expected_streams.values()))
        no_complaints(f"{title}: all {count} datagrams came byte for byte, in order of their client",
                      stream_differences(expected_streams, by_client(recorder.datagrams)))
    received = marks + sum(map(len, expected_streams.values()))
    complaints = book_complaints(proxy.text(), received, len(targets))
    no_complaints(f"{title}: the books say {received} received, {received * len(targets)} sent, none lost", complaints)
    verdict(code == 0 and not lost, f"{title}: exit code 0, and no receiver's socket overflowed",
            f"exit code {code}, datagrams lost at ports {lost}")
    return {"expected": expected, "servers": servers, "streams": expected_streams, "recorder": recorder,
            "log": proxy.text(), "received": received, "targets": len(targets)}


def settle(server, expected):
    """Waits until a receiver knows everything; what is still wrong at the deadline is told by the check."""
    try:
        until("values", lambda: not plan.differences(expected, server.facts(expected), server.can_tell))
    except TimeoutError:
        pass


def check_packed(title, recorder, expected):
    singles = {datagram for stream in expected.values() for datagram in stream}
    sent = lines_by_client(datagram for stream in expected.values() for datagram in stream)
    no_complaints(f"{title}: all {sum(map(len, sent.values()))} lines came, in order of their client",
                  stream_differences(sent, lines_by_client(recorder.datagrams)))
    before, after = sum(map(len, expected.values())), len(recorder.datagrams)
    large = [len(d) for d in recorder.datagrams if len(d) > MTU and d not in singles]
    verdict(not large, f"{title}: no pack is longer than {MTU} bytes", f"lengths {large}")
    verdict(after < before, f"{title}: packing took {before} datagrams to {after}", f"{after} from {before}")


def self_check(done):
    """Each comparison must find a difference that was put there: otherwise the checks above say nothing."""
    expected, log = done["expected"], done["log"]
    for server in done["servers"]:
        fact = next(fact for fact in expected if server.can_tell(*fact) and fact[0] == "counter")
        planted = {**server.known, fact: server.known[fact] + 1}
        found = plan.differences(expected, planted, server.can_tell)
        missing = plan.differences(expected, {f: v for f, v in planted.items() if f != fact}, server.can_tell)
        extra = plan.differences(expected, {**server.known, ("counter", "interop_x"): 1}, server.can_tell)
        verdict(all(len(wrong) == 1 for wrong in (found, missing, extra)) and fact[1] in found[0],
                f"self-check: a wrong, a missing and an unknown value at {server.name} are found",
                f"{found} {missing} {extra}")
    client, stream = next(iter(done["streams"].items()))
    flipped = [stream[0][:-1] + bytes([stream[0][-1] ^ 1]), *stream[1:]]
    swapped = [*stream[1::-1], *stream[2:]]
    for what, changed in (("a changed byte", flipped), ("a lost datagram", stream[1:]), ("two swapped", swapped),
                          ("one sent twice", [stream[0], *stream])):
        wrong = stream_differences(done["streams"], {**done["streams"], client: changed})
        verdict(len(wrong) == 1, f"self-check: {what} is found", str(wrong))
    wrong = book_complaints(log.replace(" dropped=0", " dropped=1"), done["received"], done["targets"])
    wrong += book_complaints(log, done["received"] + 1, done["targets"])
    verdict(len(wrong) == 3, "self-check: books that do not agree are found", str(wrong))


def main():
    with open(PLAN_FILE, "w", encoding="utf-8") as out:
        json.dump(PLAN, out)
    references = {"udp": reference("udp", ALL), "unix": reference("unix", UNIX_ABLE)}
    udp, unix = dict.fromkeys(ALL, "udp"), dict.fromkeys(UNIX_ABLE, "unix")
    both = {"datadog_py": "unix", "datadog_go": "unix", "hot_shots": "udp", "statsd_py": "udp"}
    also = [Collectd] if os.path.exists(TOOLS + "/collectd") else []
    plain = [(server, False, "") for server in (NpmStatsd, StatsdExporter, *also, Recorder)]
    mixed = [(server, server in (StatsdExporter, Recorder), "") for server, _, _ in plain]
    packed = [(StatsdExporter, True, "") if server is StatsdExporter else (server, False, "?pack=mtu")
              for server, _, _ in plain]
    done = scenario("UDP to UDP", udp, plain, references)
    scenario("Unix to UDP and Unix", unix, mixed, references)
    scenario("UDP and Unix to packed targets", both, packed, references)
    scenario("portable loop, two shards", both, mixed, references, ["--engine", "portable", "--shards", "2"])
    self_check(done)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
try:
    main()
except Exception:  # whatever it is, it is a failed check
    traceback.print_exc()
    verdict(False, "the run comes to its end", str(sys.exc_info()[1]))
