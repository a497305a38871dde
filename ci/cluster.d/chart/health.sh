# shellcheck shell=bash
# Sourced after expose.sh. Owns: what Kubernetes does when a proxy is not ready, stuck, killed or wrongly configured, and
# that the pods around it go on.
# Its releases, besides those of expose.sh, are in the namespace `health`, with quick probes.

# endpoint NAMESPACE   Whether each endpoint of the Service is ready.
endpoint() { kubectl get endpointslices -n "$1" -l kubernetes.io/service-name=udp-proxy -o 'jsonpath={.items[*].endpoints[*].conditions.ready}'; }
endpoint_is() { [ "$(endpoint "$1")" = "$2" ]; }
restarts() { pods "$1" '.status.containerStatuses[0].restartCount'; }
restarted() { [ "$(restarts "$1")" -gt "$2" ] && ready "$1"; }
deploy_health() {
  HELM=$BIN/helm3 deploy health --set proxy.ready=all,proxy.drainTimeoutSeconds=1,proxy.shutdownDelaySeconds=0,terminationGracePeriodSeconds=2 \
    --set probes.readiness.periodSeconds=1,probes.liveness.periodSeconds=1,probes.liveness.timeoutSeconds=1,probes.liveness.failureThreshold=2 \
    --set targets.b.address=later.targets.svc:8125,targets.b.resolve=1s "$@"
}

unready_until_resolved() {
  say '--ready all, and a target whose name does not resolve yet'
  check 'it is installed' deploy_health
  check 'its pod runs' until_ok 30 running health
  check 'it is not Ready and no endpoint of the Service' until_ok 30 endpoint_is health false
  says() { kubectl get events -n health --field-selector reason=Unhealthy -o 'jsonpath={.items[*].message}' | grep -q 'statuscode: 503'; }
  check 'the readiness probe was refused' until_ok 20 says
  equal 'kubelet did not restart it for that' "$(restarts health)" 0
  local pod; pod=$(pods health)
  equal 'it says which target' "$(status health "$pod" |
    python3 -c 'import json, sys; print(*(t[key] for t in json.load(sys.stdin)["targets"] for key in ("name", "state")))')" 'a up b unresolved'
  round 1000000 1 8
  equal 'helm test fails' "$(node "$BIN/helm3" test udp-proxy -n health --timeout 60s >"$WORK/test.log" 2>&1; echo $?)" 1
  ended
  equal 'and its pod says of which target' "$(kubectl logs -n health udp-proxy-check | grep -c '^b: 100 dropped')" 1
  echo '{apiVersion: v1, kind: Service, metadata: {name: later}, spec: {selector: {target: b}, ports: [{port: 8125, protocol: UDP}]}}' |
    kubectl apply -n targets -f - >/dev/null
  check 'the Service that it names is made: the pod is Ready' until_ok 30 ready health
  check 'and an endpoint' until_ok 10 endpoint_is health true
  until_ok 10 served health
  carries 'datagrams come to both targets' pod udp-proxy.health.svc:8125
  round 1000000 1 20
  check 'helm test passes' node "$BIN/helm3" test udp-proxy -n health --timeout 60s
  ended
}
running() { [ "$(pods "$1" '.status.phase')" = Running ]; }

restarted_when_stuck() {
  say 'a process that is stopped is restarted by kubelet'
  local pid; pid=$(pid_of health "$(pods health)")
  kill -STOP "$pid"
  check 'liveness: it was restarted and is Ready' until_ok 40 restarted health 0
  check 'the stopped process is gone' test ! -e "/proc/$pid"
  # That it was not Ready for a moment reaches kube-proxy late, and takes the way away once more.
  sleep 3
  carries 'datagrams come to both targets' pod udp-proxy.health.svc:8125
}

# What a SIGKILL loses is what comes until Kubernetes has started the process again and found it Ready, and what was queued.
killed() {
  local pod restarts_before count=80000 load
  say 'SIGKILL at 10k/s'
  pod=$(pods service)
  restarts_before=$(restarts service)
  round "$count" 6
  background "$WORK/load.log" load_from pod "$(address_of service)" "$count" 10k; load=$LAST_PID
  sleep 2
  kill -KILL "$(pid_of service "$pod")"
  check 'the pod restarts and is Ready' until_ok 30 restarted service "$restarts_before"
  check 'while datagrams come' kill -0 "$load"
  wait "$load" || true; ended
  equal 'it is the same pod' "$(pods service)" "$pod"
  equal 'its status has how it ended' "$(pods service '.status.containerStatuses[0].lastState.terminated.exitCode')" 137
  lost
  check "it lost $LOST_A and $LOST_B of $SENT: $((LOST_A / 10)) ms, less than 5 s" test "$LOST_A" -lt 50000 -a "$LOST_B" -lt 50000
  local received sent dropped queued; read -r received sent dropped queued <<<"$(books service "$pod" received sent dropped queued)"
  check "the new process receives ($received)" test "$received" -gt 0
  # Two seconds of datagrams came to the old process: the new one's books do not have them.
  check "and keeps its own books" test "$received" -le $((count - 15000))
  equal 'which balance' "$((sent + dropped + queued))" "$((2 * received))"
  check 'what it received is what came, less what the old one sent' test "$received" -lt "$(of "$WORK/sink.a" arrived)"
  carries 'afterwards every datagram comes' pod "$(address_of service)"
}

# The new pod fails and says why; the old one serves on, because it goes only when the new one is Ready.
wrong_configuration() {
  say 'a wrong configuration'
  local old; old=$(pods service)
  equal 'helm upgrade --wait fails' "$(deploy_service --set 'extraArgs={--engine=warp}' --wait --timeout 12s >"$WORK/wrong.log" 2>&1; echo $?)" 1
  check 'its pod says why' until_ok 30 pod_says_why
  check 'the old pod is there and Ready' kubectl wait -n service --for=condition=Ready "pod/$old" --timeout=1s
  carries 'and carries every datagram' pod "$(address_of service)"
  check 'helm rollback' node "$BIN/helm4" rollback udp-proxy -n service --wait --timeout 60s
  check 'ends the failed pod' until_ok 30 ready service
  equal 'and leaves the old one' "$(pods service)" "$old"
}
pod_says_why() {
  kubectl get pods -n service -l app.kubernetes.io/name=udp-proxy -o 'jsonpath={.items[*].status.containerStatuses[0].lastState.terminated.message}' |
    grep -q "udp-proxy: --engine: 'warp' is unknown: give auto, portable"
}
