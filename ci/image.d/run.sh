# shellcheck shell=bash
# Sourced by ci/image once the image is built. Owns: containers in a network of their own, a cable to this script's
# sender and sinks, and what must be true of a proxy there. Always true: nothing of it is left afterwards.
sender=udp-proxy-image inside=10.98.0.2 outside=10.98.0.1
program=$WORK/udp-proxy # the image's own, which runs anywhere
at_exit "ip netns del $sender"
at_exit 'docker ps -aq --filter label=udp-proxy-ci | xargs -r /usr/bin/docker rm -f >/dev/null'
ip netns del $sender 2>/dev/null || true
ip netns add $sender; ip -n $sender link set lo up
away() { nsenter --net=/run/netns/$sender -- "$@"; }
status() { away curl -fsS -m 2 "http://$inside:2204/status"; }
field() { python3 -c 'import json,sys; print(eval(sys.argv[1], {"s": json.load(sys.stdin)}))' "$1"; }

# What docs/docker.md tells everyone to run it with.
read -ra locked < <(sed -n 's/^  \(--read-only .*\) \\$/\1/p' docs/docker.md)
[ ${#locked[@]} -gt 8 ] || die 'docs/docker.md: the options of docker run were not found'
locked+=(--label udp-proxy-ci)
check 'Compose in docs/docker.md says the same as docker run' "$WORK/lint/bin/python" - <<'END'
import re, shlex, yaml
text = open("docs/docker.md").read()
run = shlex.split(re.search(r"^docker run (.*?)^```", text, re.M | re.S)[1].replace("\\\n", ""))
service = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.S)[1])["services"]["udp-proxy"]
image = run.index("udp-proxy", run.index("-p"))
flags = {"restart": "restart", "cap_drop": "cap-drop", "security_opt": "security-opt", "mem_limit": "memory",
         "memswap_limit": "memory-swap", "pids_limit": "pids-limit"}
expected = ["-d", "--name", "udp-proxy"]
for key, flag in flags.items():
    value = service[key]
    expected += ["--" + flag, str(value[0] if isinstance(value, list) else value)]
    if key == "restart":
        expected += ["--read-only"] * service["read_only"]
expected += ["-p", service["ports"][0]]
assert run[:image] == expected, f"{run[:image]} is not {expected}"
assert run[image:] == [service["image"], *service["command"]], run[image:]
assert len(service) == len(flags) + 4, service
END
# One container holds the network that the others join.
holder=$(docker run -d "${locked[@]}" --network none "$image" sink --source 127.0.0.1:9999)
ip link add outside netns $sender type veth peer name inside netns "$(docker inspect -f '{{.State.Pid}}' "$holder")"
join() { nsenter -t "$(docker inspect -f '{{.State.Pid}}' "$holder")" -n -- ip "$@"; }
ip -n $sender addr add $outside/24 dev outside; ip -n $sender link set outside up
join addr add $inside/24 dev inside; join link set inside up

# proxy CPUS [option…]   Starts one with two targets outside; its id is in $ID.
proxy() {
  local cpus=$1; shift
  ID=$(docker run -d "${locked[@]}" --network "container:$holder" --cpus "$cpus" --health-interval 1s -e UDP_PROXY_ADMIN=:2204 \
    "$@" "$image" --source :8125 --target "a=$outside:9001" --target "b=$outside:9002")
}
healthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$ID")" = "$1" ]; }

for run in '2 40000 20k' '0.5 20000 10k'; do
  read -r cpus count rate <<<"$run"
  say "$cpus CPUs, 32 MiB, read-only, no capability, the default seccomp profile"
  sinks=()
  for port in 9001 9002; do
    background "$WORK/sink.$port" away "$program" sink --source "$outside:$port" --expect "$count" --duration 60s --json
    sinks+=("$LAST_PID")
  done
  proxy "$cpus"
  check 'HEALTHCHECK turns healthy' until_ok 20 healthy healthy
  pid=$(docker inspect -f '{{.State.Pid}}' "$ID")
  equal 'user, effective capabilities, seccomp, no new privileges' \
    "$(awk '/^(Uid|CapEff|CapBnd|Seccomp|NoNewPrivs):/ {printf "%s ", $2}' "/proc/$pid/status")" '65532 0000000000000000 0000000000000000 1 2 '
  for path in livez readyz metrics; do check "/$path answers" away curl -fsS -m 2 "http://$inside:2204/$path"; done
  away "$program" load --target "$inside:8125" --rate "$rate" --count "$count" --json >"$WORK/load.json"
  for sink in "${sinks[@]}"; do wait "$sink" || true; done
  for port in 9001 9002; do
    check "all $count datagrams at $rate/s arrived at :$port" grep -q "\"arrived\":$count,\"lost\":0" "$WORK/sink.$port"
  done
  equal 'the books: received, sent, kernel drops, balanced' \
    "$(status | field '"%(received)d %(sent)d %(kernel_drops)d %(balanced)s" % s["books"]')" "$count $((2 * count)) 0 True"
  mib=$(($(status | field 's["resident_bytes"]') / 1048576))
  if [ "$mib" -lt 16 ]; then pass "it has $mib MiB of the 32 in memory"; else fail "it has $mib MiB in memory, half of its limit"; fi
  began=$(date +%s%N)
  docker stop -t 20 "$ID" >/dev/null
  took=$((($(date +%s%N) - began) / 1000000))
  if [ "$took" -lt 3000 ]; then pass "docker stop took $took ms"; else fail "docker stop took $took ms, more than 3000"; fi
  equal 'exit code, out of memory' "$(docker inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}}' "$ID")" '0 false'
  check 'its last line is the books' bash -c "docker logs '$ID' 2>&1 | tail -n 1 | grep 'received=$count .*kernel_drops=0 balanced=true'"
done

say 'a handover under load, as on the host network'
sinks=()
for port in 9001 9002; do
  background "$WORK/sink.$port" away "$program" sink --source "$outside:$port" --expect 60000 --duration 60s --json
  sinks+=("$LAST_PID")
done
ready() { docker logs "$ID" 2>&1 | grep -q ' ready version='; }
proxy 1; old=$ID
until_ok 10 ready
background "$WORK/load.json" away "$program" load --target "$inside:8125" --rate 10k --count 60000 --json
loading=$LAST_PID
flows() { [ "$(status | field 's["books"]["received"]')" -gt 5000 ]; }
until_ok 10 flows
proxy 1
check 'the new one is ready while the old one serves' until_ok 10 ready
docker stop -t 20 "$old" >/dev/null
check 'and senders have not ended' kill -0 "$loading"
wait "$loading"
for sink in "${sinks[@]}"; do wait "$sink" || true; done
for port in 9001 9002; do
  check "all 60000 arrived at :$port" grep -q '"arrived":60000,"lost":0' "$WORK/sink.$port"
done
equal "the old one's exit code" "$(docker inspect -f '{{.State.ExitCode}}' "$old")" 0
check 'and its last line: all it received was sent, twice' bash -c "docker logs '$old' 2>&1 | tail -n 1 | python3 -c '
import re, sys
books = dict(re.findall(r\"(\w+)=(\w+)\", sys.stdin.read()))
print(books)
assert 5000 < int(books[\"received\"]) < 60000 and int(books[\"sent\"]) == 2 * int(books[\"received\"])
assert books[\"kernel_drops\"] == books[\"dropped\"] == books[\"queued\"] == \"0\" and books[\"balanced\"] == \"true\"'"
docker stop -t 20 "$ID" >/dev/null

say 'not well'
ID=$(docker run -d "${locked[@]}" --network "container:$holder" --health-interval 1s --health-retries 1 --health-start-period 0s \
  "$image" --target 'a=nowhere.invalid:1')
check 'a proxy that is not ready turns unhealthy' until_ok 20 healthy unhealthy
check 'and HEALTHCHECK says why' bash -c "docker inspect -f '{{json .State.Health.Log}}' '$ID' | grep -i 'nowhere\|target\|ready'"
docker rm -f "$ID" >/dev/null
code=0; docker run --rm "${locked[@]}" --network none "$image" --target 'a=10.0.0.1' >"$WORK/bad" 2>&1 || code=$?
equal 'a wrong target ends it with' "$code" 2
equal 'and as many lines as' "$(wc -l <"$WORK/bad")" 1
