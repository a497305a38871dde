# shellcheck shell=bash
# Sourced, after ci/lib.sh and ci/cluster.d/env.sh, while a cluster is up. Owns: releases, targets, rounds of traffic and
# what came of them.
# Always true: a round begins when both targets listen, and its numbers are those of `load` and of both sinks.
#   UDP_PROXY   the program, for the host that is no node
#   IMAGE       its image, which the node has; the one that the chart names by itself
CHART_D=$ROOT/ci/cluster.d/chart
CHART=${CHART:-$ROOT/charts/udp-proxy}
HELM=${HELM:-$BIN/helm4}

kubectl() { node kubectl "$@"; }
ctr() { node ctr -a "$STATE/run/containerd.sock" -n k8s.io "$@"; }
with_image() { sed "s|IMAGE|$IMAGE|" "$1"; }

# deploy NAMESPACE argument…   Installs or upgrades the release `udp-proxy` there.
deploy() {
  local namespace=$1; shift
  node "$HELM" upgrade --install udp-proxy "$CHART" --namespace "$namespace" -f "$CHART_D/values.yaml" "$@"
}
uninstall() { node "$HELM" uninstall udp-proxy --namespace "$1" --wait --timeout 60s; }

# pods NAMESPACE [FIELD]   The release's pods, or a field of each, on one line.
pods() { kubectl get pods -n "$1" -l app.kubernetes.io/name=udp-proxy -o "jsonpath={.items[*]${2:-.metadata.name}}"; }
# ready NAMESPACE [COUNT]   All of the release's pods are Ready, and none is left of an earlier one.
ready() {
  [ "$(pods "$1" '.metadata.deletionTimestamp')" = '' ] &&
    [ "$(pods "$1" '.status.conditions[?(@.type=="Ready")].status')" = "$(yes True | head -n "${2:-1}" | paste -sd ' ')" ]
}
# served NAMESPACE   kube-proxy, which works once a second, leads the Service to each pod.
served() {
  local address rules; rules=$(node iptables-save -t nat)
  for address in $(pods "$1" '.status.podIP'); do
    grep -F "$1/udp-proxy:statsd" <<<"$rules" | grep -qF -- "--to-destination $address:8125" || return 1
  done
}
# pid_of NAMESPACE POD   The pid of the pod's first container, as this machine counts.
pid_of() {
  local id; id=$(kubectl get pod -n "$1" "$2" -o 'jsonpath={.status.containerStatuses[0].containerID}')
  ctr task ls | awk -v id="${id#containerd://}" '$1 == id { print $2 }'
}
# status NAMESPACE POD   Its /status, through the API server.
status() { kubectl get --raw "/api/v1/namespaces/$1/pods/$2:2204/proxy/status"; }
# books NAMESPACE POD KEY…   Values of its books.
books() {
  local status; status=$(status "$1" "$2"); shift 2
  python3 -c 'import json, sys; books = json.loads(sys.argv[1])["books"]; print(*(books[key] for key in sys.argv[2:]))' "$status" "$@"
}

targets_up() {
  kubectl create namespace targets
  until_ok 30 kubectl get serviceaccount default -n targets
  with_image "$CHART_D/targets.yaml" | kubectl apply -n targets -f -
  check 'two targets are there' kubectl wait -n targets --for=condition=Ready pod --all --timeout=60s
  TARGET_PIDS=("$(pid_of targets target-a)" "$(pid_of targets target-b)")
}

listening() { local pid; for pid in "${TARGET_PIDS[@]}"; do grep -q ":$(printf '%04X' 8125) " "/proc/$pid/net/udp6" "/proc/$pid/net/udp" || return 1; done; }
# round COUNT IDLE [SECONDS]   Begins one: each sink ends when COUNT have come, or none for IDLE seconds, or after SECONDS.
round() {
  local target; SINKS=()
  for target in a b; do
    background "$WORK/sink.$target" node kubectl exec -n targets "target-$target" -- \
      /udp-proxy sink --source=:8125 "--expect=$1" "--idle=$2s" "--duration=${3:-30}s" --json
    SINKS+=("$LAST_PID")
  done
  until_ok 20 listening
}
# ended   The round's sinks have.
ended() { local pid; for pid in "${SINKS[@]}"; do wait "$pid" || true; done; }
# of FILE KEY   A number of a report of load or sink.
of() { sed -n "s/.*\"$2\":\([0-9.]*\).*/\1/p" "$1"; }

# load_from pod|client ADDRESS COUNT RATE   Its report is in $WORK/load.
load_from() {
  local words=(load "--target=$2" "--count=$3" "--rate=$4" --duration=120s --json)
  case $1 in
    pod) kubectl exec -n targets sender -- /udp-proxy "${words[@]}" ;;
    client) client "$UDP_PROXY" "${words[@]}" ;;
  esac >"$WORK/load" || true   # it fails when a send failed: the report says how many
}

# all_arrived 'what is claimed' COUNT   What was sent came to both targets, each datagram once.
all_arrived() {
  local target found=''
  found="sent $(of "$WORK/load" sent)"
  for target in a b; do
    found+=", $target $(of "$WORK/sink.$target" arrived) lost $(of "$WORK/sink.$target" lost) twice $(of "$WORK/sink.$target" duplicated)"
  done
  equal "$1" "$found" "sent $2, a $2 lost 0 twice 0, b $2 lost 0 twice 0"
}

# carries 'what is claimed' pod|client ADDRESS   Two seconds of 10k/s come to both targets.
carries() {
  round 20000 3
  load_from "$2" "$3" 20000 10k
  ended
  all_arrived "$1" 20000
}
