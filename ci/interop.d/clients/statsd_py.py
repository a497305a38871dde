"""PyPI `statsd`: plays its part of the plan, a chunk for each line on standard input. UDP only."""
import json
import random
import sys

from statsd import StatsClient

plan = json.load(open(sys.argv[1], encoding="utf-8"))
assert sys.argv[2] == "udp", "this client has no Unix datagram sockets"
random.seed(plan["seed"])
host, port = sys.argv[3].rsplit(":", 1)
client = StatsClient(host, int(port))


def play(to, op):
    kind, name, value, rate = op["kind"], op["name"], op["value"], op["more"].get("rate", 1)
    if kind == "count":
        to.incr(name, value, rate)
    elif kind == "delta":
        to.gauge(name, value, delta=True)
    else:
        {"gauge": to.gauge, "timing": to.timing, "set": to.set}[kind](name, value)


print("ready", flush=True)
chunks = iter(plan["clients"]["statsd_py"])
for _ in sys.stdin:
    chunk = next(chunks)
    if chunk["buffered"]:
        with client.pipeline() as pipe:
            for op in chunk["ops"]:
                play(pipe, op)
    else:
        for op in chunk["ops"]:
            play(client, op)
    print("done", flush=True)
