# shellcheck shell=bash
# Sourced, after ci/lib.sh, ci/cluster.d/env.sh and render.sh, while a cluster is up. Owns: what is claimed of the
# sidecar there.
# Always true: what it makes is in namespaces of its own, but for the policy, and `sidecar_gone` deletes both.
#   UDP_PROXY   the program, for inject
#   IMAGE       repository:tag of an image of it that the node has, with the program at /udp-proxy
#   HELM        helm3 or helm4 of $BIN [helm4]
HELM=${HELM:-$BIN/helm4}
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml" | head -n 1)

kubectl() { node kubectl "$@"; }
inject() { "$UDP_PROXY" inject --image "$IMAGE" "$@"; }
ask() { python3 "$SIDECAR_D/pods.py" "$@"; }
# What the API server would store of the pods on stdin, as JSON; nothing is stored.
dry() { kubectl create --dry-run=server -o json -f -; }
labelled() { sed 's|ASKED|udp-proxy/inject: "true"|' "$SIDECAR_D/pods.yaml"; }
unlabelled() { sed 's|ASKED|app: any|' "$SIDECAR_D/pods.yaml"; }

# same 'what is claimed' TEXT TEXT
same() {
  if [ -n "$2" ] && [ "$2" = "$3" ]; then pass "$1"; else fail "$1"; diff <(echo "$2") <(echo "$3") | sed 's/^/     | /' >&2; fi
}

release() {
  node "$HELM" upgrade --install sidecar "$CHART" --namespace sidecar-chart --create-namespace \
    --set mode=injectOnly --set sidecarInjection.enabled=true "$(settings)" "$@" >"$WORK/notes.txt"
}
has_sidecar() { labelled | dry | ask at "$1" spec initContainers | grep -q '"name": "udp-proxy"'; }

sidecar_policy() {
  say 'the policy'
  check 'without targets: it is installed' release
  check 'and the notes say who gets a sidecar' grep -q 'WARNING: no target is set' "$WORK/notes.txt"
  # It takes effect some time after it is stored.
  check 'a pod that names its targets gets the sidecar' until_ok 60 has_sidecar annotated
  equal 'a pod that does not starts without one' "$(labelled | dry | ask at plain spec initContainers)" ''
  check 'with targets: it is upgraded' release -f "$SIDECAR_D/values.yaml"
  check 'and the notes say how to ask' grep -q 'udp-proxy/inject: "true"' "$WORK/notes.txt"
  check 'every labelled pod gets the sidecar' until_ok 60 has_sidecar plain
}

sidecar_alike() {
  say 'policy, inject, kustomize and the named template make one container'
  labelled | dry >"$WORK/policy.json"
  unlabelled | dry >"$WORK/none.json"
  unlabelled | inject --target "$TARGETS" | dry >"$WORK/inject.json"
  by_kustomize <(unlabelled) "$TARGETS" | dry >"$WORK/kustomize.json"
  by_template "$HELM" "$SIDECAR_D/values.yaml" | dry >"$WORK/template.json"
  local way pod
  for way in inject:plain inject:annotated inject:with-init kustomize:plain kustomize:with-init template:plain template:annotated; do
    pod=${way#*:}
    same "${way%:*} as policy: $pod" "$(ask at "$pod" spec initContainers 0 <"$WORK/${way%:*}.json")" \
      "$(ask at "$pod" spec initContainers 0 <"$WORK/policy.json")"
  done
  same 'nothing else of a pod changed, by policy' "$(ask rest <"$WORK/policy.json")" "$(ask rest <"$WORK/none.json")"
  same 'nor by inject' "$(ask rest <"$WORK/inject.json")" "$(ask rest <"$WORK/none.json")"
  equal 'it stands first and the others keep their order' "$(ask names <"$WORK/policy.json" | paste -sd ' ')" \
    'plain: udp-proxy annotated: udp-proxy with-init: udp-proxy first second'
  equal 'annotations say targets, port, level and resources' "$(ask at annotated spec initContainers 0 <"$WORK/policy.json" | python3 -c '
import json, sys
container = json.load(sys.stdin)
env = {one["name"]: one.get("value") for one in container["env"]}
print(env["UDP_PROXY_SOURCE"], env["UDP_PROXY_LOG_LEVEL"], env["UDP_PROXY_TARGET"], json.dumps(container["resources"], sort_keys=True))')" \
    '127.0.0.1:9125 debug a=b.example:1?pack=mtu&queue=9 c=$(HOST_IP):2 {"limits": {"cpu": "500m"}, "requests": {"cpu": "20m", "memory": "32Mi"}}'
  equal 'the record says who' \
    "$(for way in policy inject kustomize; do ask at plain metadata annotations udp-proxy/injected <"$WORK/$way.json"; done | paste -sd ' ')" \
    "policy/$VERSION inject/$VERSION kustomize/$VERSION"
}

sidecar_left_alone() {
  say 'pods that the policy leaves as they are'
  dry <"$SIDECAR_D/left.yaml" >"$WORK/left.json"
  equal 'no label, not asked, system, injected before, own containers, Windows' "$(ask names <"$WORK/left.json" | paste -sd ' ')" \
    'no-label: label-says-no: system: injected-before: own-container: own-init-container: first udp-proxy windows:'
  equal 'a pod that inject had before is not injected again' \
    "$(labelled | inject --target "$TARGETS" | dry | ask names | paste -sd ' ')" \
    'plain: udp-proxy annotated: udp-proxy with-init: udp-proxy first second'
  # The API server would refuse what is no amount with an internal error that names nothing.
  labelled | sed 's/memory-request: 32Mi/memory-request: much/' | dry >"$WORK/wrong.json"
  equal 'what is no amount gives way to the default' "$(ask at annotated spec initContainers 0 resources requests memory <"$WORK/wrong.json")" 16Mi
  equal 'and the record says so' "$(ask at annotated metadata annotations udp-proxy/injected <"$WORK/wrong.json")" \
    "policy/$VERSION; no amount, so the default: udp-proxy/memory-request"
}

sidecar_runs() {
  say 'real pods, in a namespace that enforces the restricted level'
  kubectl create namespace sidecar
  kubectl label namespace sidecar pod-security.kubernetes.io/enforce=restricted
  until_ok 30 kubectl get serviceaccount default -n sidecar
  sed "s|IMAGE|$IMAGE|" "$SIDECAR_D/sinks.yaml" | kubectl apply -n sidecar -f -
  check 'targets are there' kubectl wait -n sidecar --for=condition=Ready pod/sink-a pod/sink-b --timeout=60s
  ip() { kubectl get pod -n sidecar "$1" -o jsonpath='{.status.podIP}'; }
  sed "s|IMAGE|$IMAGE|; s|SINK_A|$(ip sink-a)|g; s|SINK_B|$(ip sink-b)|g" "$SIDECAR_D/run.yaml" | kubectl apply -n sidecar -f -

  check 'a Job completes with its sidecar' kubectl wait -n sidecar --for=condition=Complete job/nightly --timeout=120s
  local sink
  for sink in a b; do
    check "target $sink ends" kubectl wait -n sidecar --for=jsonpath='{.status.phase}'=Succeeded "pod/sink-$sink" --timeout=60s
    check "every line came to target $sink, once" grep -q '"arrived":5000,"lost":0,"duplicated":0' <(kubectl logs -n sidecar "sink-$sink")
  done
  check 'its last words are the books' grep -q 'received=5000 .*balanced=true' <(kubectl logs -n sidecar job/nightly -c udp-proxy)

  check 'a Deployment is available, although its target has no address' kubectl wait -n sidecar --for=condition=Available deployment/web --timeout=60s
  check 'its sidecar answers for itself' kubectl exec -n sidecar deployment/web -c udp-proxy -- /udp-proxy healthcheck --live
  equal 'and is not ready' "$(kubectl exec -n sidecar deployment/web -c udp-proxy -- /udp-proxy healthcheck >/dev/null 2>&1; echo $?)" 1
  says_why() { kubectl get pod -n sidecar wrong -o jsonpath='{.status.initContainerStatuses[0]}' | grep -q "target: 'nowhere': it has no port"; }
  check 'a wrong annotation: the pod says why' until_ok 60 says_why
}

sidecar_shares_a_host() {
  say "pods on the host's network, as root"
  kubectl create namespace sidecar-host
  kubectl label namespace sidecar-host pod-security.kubernetes.io/enforce=privileged
  until_ok 30 kubectl get serviceaccount default -n sidecar-host
  sed "s|IMAGE|$IMAGE|; s|NODE_IP|$CLIENT_IP|" "$SIDECAR_D/host.yaml" | kubectl apply -n sidecar-host -f -
  check 'both run' kubectl wait -n sidecar-host --for=condition=Ready pod --all --timeout=60s
  local pod
  for pod in host-a host-b; do
    check "$pod: its own sidecar passes lines on" kubectl exec -n sidecar-host $pod -c udp-proxy -- /udp-proxy check
  done
}

sidecar_gone() {
  say 'it goes'
  check 'the release' node "$HELM" uninstall sidecar --namespace sidecar-chart --wait --timeout 60s
  equal 'no policy is left' "$(kubectl get mutatingadmissionpolicies,mutatingadmissionpolicybindings -o name)" ''
  check 'the namespaces' kubectl delete namespace sidecar sidecar-host sidecar-chart --ignore-not-found --timeout=120s
}
