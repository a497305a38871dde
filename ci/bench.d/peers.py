"""How each relay is started. Every one relays 127.0.0.1:LISTEN to each target, which is a HOST:PORT."""
import json, os, shutil
from pathlib import Path

PEERS = Path(os.environ["PEERS"])


def rsyslog(listen, targets, folder):
    actions = "\n".join(f'  action(type="omfwd" target="{host}" port="{port}" protocol="udp" template="asis")' for host, port in map(split, targets))
    (folder / "rsyslog.conf").write_text(f"""
global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imudp" batchSize="128")
template(name="asis" type="string" string="%rawmsg%")
ruleset(name="relay" queue.type="LinkedList" queue.size="100000") {{
{actions}
}}
input(type="imudp" address="127.0.0.1" port="{listen}" ruleset="relay" rcvbufSize="4m")
""")
    return ["rsyslogd", "-n", "-f", folder / "rsyslog.conf", "-i", folder / "pid"]


def statsd_repeater(listen, targets, folder):
    hosts = ", ".join(f"{{host: '{host}', port: {port}}}" for host, port in map(split, targets))
    (folder / "config.js").write_text(f"""{{
  servers: [{{server: './servers/udp', address: '127.0.0.1', port: {listen}}}],
  backends: ['./backends/repeater'], mgmt_port: 0, repeater: [{hosts}], flushInterval: 10000, debug: false
}}""")
    return ["node", PEERS / "node_modules/statsd/stats.js", folder / "config.js"]


def udp_replicator(listen, targets, folder):
    words = [found("udp-replicator"), f"--listen-port={listen}", "--listen-ip=127.0.0.1"]
    return words + [f"--forward={target}" for target in targets]


def udp_mirror(listen, targets, folder):
    words = [found("udp-mirror"), f"-listen-address=127.0.0.1:{listen}"]
    return words + ["-receivers=" + ",".join(targets)]


def samplicator(listen, targets, folder):
    return [found("samplicate"), "-s", "127.0.0.1", "-p", str(listen), "-b", "4194304", *["/".join(split(target)) for target in targets]]


def udp_fanout(listen, targets, folder):
    (folder / "fanout.toml").write_text(f'bind_address = "127.0.0.1:{listen}"\ntargets = {json.dumps(targets)}\n')
    return [found("udp-fanout"), "-l", "error", "-c", folder / "fanout.toml"]


def split(target):
    return target.split(":")


def found(program):
    """A program that the host has, or that stands in PEERS/bin."""
    here = PEERS / "bin" / program
    return here if here.exists() else shutil.which(program)


def proxy(binary, listen, targets, options="", shards=None):
    words = [binary, "--source", f"127.0.0.1:{listen}", "--admin", "off", "--log-level", "warn"]
    words += [f"--target=t{i}={target}{options}" for i, target in enumerate(targets)]
    return words + ([f"--shards={shards}"] if shards else [])


def command(name, listen, targets, folder, binary, baselines):
    plain = [f"127.0.0.1:{listen}", *targets]
    ours = {
        "udp-proxy": lambda: proxy(binary, listen, targets),
        "udp-proxy-1": lambda: proxy(binary, listen, targets, shards=1),
        "udp-proxy-pack": lambda: proxy(binary, listen, targets, "?pack=1432"),
        "udp-proxy-linger": lambda: proxy(binary, listen, targets, "?pack=1432&linger=5ms"),
        "floor": lambda: [baselines / "floor", *plain],
        "floor-plain": lambda: [baselines / "floor", *plain, "--plain"],
        "floor-pack": lambda: [baselines / "floor", *plain, "--pack"],
        "discard": lambda: [baselines / "discard", plain[0]],
        "naive": lambda: [baselines / "naive", *plain],
        "replaced": lambda: [baselines / "replaced", *plain],
        "statsdproxy-mirror-pack": lambda: [baselines / "statsdproxy-mirror", *plain],
    }
    if name in ours:
        return ours[name]()
    return OTHERS[name][1](listen, targets, folder)


# name: (what must be there, how it is started)
OTHERS = {
    "rsyslog": (lambda: shutil.which("rsyslogd"), rsyslog),
    "statsd-repeater": (lambda: (PEERS / "node_modules/statsd/stats.js").exists(), statsd_repeater),
    "udp-replicator": (lambda: found("udp-replicator"), udp_replicator),
    "udp-mirror": (lambda: found("udp-mirror"), udp_mirror),
    "samplicator": (lambda: found("samplicate"), samplicator),
    "udp-fanout": (lambda: found("udp-fanout"), udp_fanout),
}


def available():
    names = ["udp-proxy", "udp-proxy-pack", "udp-proxy-linger", "floor", "floor-plain", "floor-pack", "discard", "naive", "replaced", "statsdproxy-mirror-pack"]
    for name, (there, _) in OTHERS.items():
        if there():
            names.append(name)
        else:
            print(f"skip {name}: it could not be installed", flush=True)
    return names
