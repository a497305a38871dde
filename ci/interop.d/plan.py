"""What each client sends, from a seed, and what a receiver must then know.

A fact is (measure, series): measure is counter, gauge, set, timer-count, timer-sum, timer-values, histogram-count or
histogram-sum; series is the name with '_' for '.', and its tags in order of name: `interop_x_c{env=prod}`.
Names that begin with `raw.` are for the byte comparison only: not every receiver understands such lines.
"""
import random
from collections import defaultdict

SEED = 20240229
CHUNK = 8  # operations between two moments at which everything has arrived; below the 10 datagrams of a Unix socket
TAGS = (["env:prod", "zone:a-1"], ["env:stage", "zone:b_2"])
CLIENTS = {
    "datadog_py": {"tags", "histograms", "events", "sampled", "stamped"},
    "hot_shots": {"tags", "histograms", "events", "delta"},
    "statsd_py": {"sampled", "delta"},
    "datadog_go": {"tags", "histograms", "events", "stamped"},
}
LONG = "a text beyond any MTU \u2713 " * 150


def make(seed=SEED):
    rng = random.Random(seed)
    return {"seed": seed, "clients": {name: _client(name, can, rng) for name, can in CLIENTS.items()}}


def _client(client, can, rng):
    def op(kind, name, value, **more):
        return {"kind": kind, "name": f"interop.{client}.{name}", "value": value, "more": more}

    def raw(kind, name, value, **more):
        return {"kind": kind, "name": f"raw.{client}.{name}", "value": value, "more": more}

    def quarter():
        return rng.randrange(1, 40_000) / 4  # exact in binary, so that sums are exact too

    first, mixed, sets = [], [], []
    for key in range(3):
        mixed += [op("count", f"c{key}", rng.randrange(1, 1000)) for _ in range(6)]
        mixed += [op("gauge", f"g{key}", quarter()) for _ in range(3)]
    for key in range(2):
        mixed += [op("timing", f"t{key}", quarter()) for _ in range(8)]
        members = [f"u{rng.randrange(1000)}" for _ in range(CHUNK - 3)]
        sets.append([op("set", f"s{key}", member) for member in members + members[:3]])
    if "delta" in can:
        first.append(op("gauge", "moved", 100_000 + quarter()))
        mixed += [op("delta", "moved", rng.choice((-1, 1)) * quarter()) for _ in range(6)]
    if "sampled" in can:
        mixed += [op("count", "sampled", rng.randrange(1, 100), rate=0.5) for _ in range(24)]
    if "histograms" in can:
        mixed += [op("histogram", "h", quarter()) for _ in range(6)]
        mixed += [op("distribution", "d", quarter()) for _ in range(6)]
    if "tags" in can:
        for tags in TAGS:
            mixed += [op("count", "tagged_c", rng.randrange(1, 1000), tags=tags) for _ in range(4)]
            mixed += [op("gauge", "tagged_g", quarter(), tags=tags) for _ in range(2)]
            mixed += [op("timing", "tagged_t", quarter(), tags=tags) for _ in range(4)]
            mixed += [op("distribution", "tagged_d", quarter(), tags=tags) for _ in range(2)]
        mixed.append(raw("count", "odd_tags", 1, tags=["stra\u00dfe:\u6771\u4eac", "flag", "url:http://x/y?z=1"]))
    if "events" in can:
        mixed += [
            raw("event", "plain", "text"),
            raw("event", "full \u00fc", "two\nlines | and a bar \u2713", alert_type="warning", priority="low",
                aggregation_key="deploy", source_type_name="ci", hostname="web-1", tags=TAGS[0]),
            raw("check", "bare", 0),
            raw("check", "full", 2, hostname="db-1", message="down since \u2717 noon", tags=TAGS[1]),
        ]
        if client != "datadog_go":  # refuses events longer than one Ethernet frame
            mixed.append(raw("event", "long", LONG, tags=TAGS[0]))
    if "stamped" in can:
        mixed.append(raw("stamped", "stamped", 7, at=1_700_000_000))
    if client == "datadog_py":
        mixed.append(raw("count", "cardinality", 1, cardinality="low"))
    rng.shuffle(mixed)
    chunks = [mixed[i:i + CHUNK] for i in range(0, len(mixed), CHUNK)]
    for members in sets:  # each whole: a receiver that counts members per interval then sees it in one
        chunks.insert(rng.randrange(len(chunks) + 1), members)
    chunks = ([first] if first else []) + chunks
    return [{"buffered": i % 3 == 2, "ops": ops} for i, ops in enumerate(chunks)]


def series(name, tags=()):
    pairs = sorted(tag.split(":", 1) for tag in tags)
    labels = "{" + ",".join(f"{k}={v}" for k, v in pairs) + "}" if pairs else ""
    return name.replace(".", "_") + labels


def facts(plan, clients, lines):
    """What must be known after `clients` have played. `lines` of a run without proxy say which sampled ones exist."""
    known, members = defaultdict(float), defaultdict(set)
    for client in clients:
        for op in (op for chunk in plan["clients"][client] for op in chunk["ops"]):
            if op["name"].startswith("raw.") or "rate" in op["more"]:
                continue
            key, value = series(op["name"], op["more"].get("tags", ())), op["value"]
            kind = {"distribution": "histogram"}.get(op["kind"], op["kind"])
            if kind == "count":
                known["counter", key] += value
            elif kind == "gauge":
                known["gauge", key] = value
            elif kind == "delta":
                known["gauge", key] += value
            elif kind == "set":
                members[key].add(value)
            elif kind == "timing":
                known["timer-count", key] += 1
                known["timer-sum", key] += value
                known["timer-values", key] = (known.get(("timer-values", key)) or ()) + (value,)
            else:
                known["histogram-count", key] += 1
                known["histogram-sum", key] += value
    known.update({("set", key): len(found) for key, found in members.items()})
    for line in lines:
        name, _, rest = line.partition(b":")
        if name.endswith(b".sampled") and name.split(b".")[1].decode() in clients:
            value, _, rate = rest.split(b"|")
            known["counter", series(name.decode())] += float(value) / float(rate[1:])
    return dict(known)


def differences(expected, found, can_tell):
    """What is missing, wrong or too much in `found`, one line each; `can_tell(measure, series)` says what counts."""
    wanted = {fact: value for fact, value in expected.items() if can_tell(*fact)}
    wrong = []
    for fact in sorted(wanted.keys() | found.keys()):
        want, have = wanted.get(fact), found.get(fact)
        if want is None or have is None or not _same(want, have):
            wrong.append(f"{fact[0]} {fact[1]}: found {have}, expected {want}")
    return wrong


def _same(one, other):
    if isinstance(one, tuple) or isinstance(other, tuple):
        return one == other
    return abs(one - other) < 1e-6
