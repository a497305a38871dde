"""PyPI `datadog`: plays its part of the plan, a chunk for each line on standard input."""
import json
import random
import sys

from datadog.dogstatsd.base import DogStatsd

plan, transport, address = json.load(open(sys.argv[1], encoding="utf-8")), sys.argv[2], sys.argv[3]
random.seed(plan["seed"])  # the library decides by random() which sampled lines it sends
where = {"socket_path": "unixgram://" + address}
if transport == "udp":
    host, port = address.rsplit(":", 1)
    where = {"host": host, "port": int(port)}
client = DogStatsd(disable_telemetry=True, origin_detection_enabled=False, flush_interval=0, **where)


def play(op):
    kind, name, value, more = op["kind"], op["name"], op["value"], dict(op["more"])
    if kind == "count":
        client.increment(name, value, tags=more.get("tags"), sample_rate=more.get("rate", 1),
                         cardinality=more.get("cardinality"))
    elif kind == "stamped":
        client.count_with_timestamp(name, value, more["at"])
    elif kind == "event":
        client.event(name, value, **more)
    elif kind == "check":
        client.service_check(name, value, **more)
    else:
        method = {"gauge": client.gauge, "timing": client.timing, "histogram": client.histogram,
                  "distribution": client.distribution, "set": client.set}[kind]
        method(name, value, tags=more.get("tags"))


print("ready", flush=True)
chunks = iter(plan["clients"]["datadog_py"])
for _ in sys.stdin:
    chunk = next(chunks)
    if chunk["buffered"]:
        with client:
            for op in chunk["ops"]:
                play(op)
    else:
        for op in chunk["ops"]:
            play(op)
    assert client.packets_dropped == 0, "the client itself gave something up"
    print("done", flush=True)
