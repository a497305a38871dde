# shellcheck shell=bash
# Sourced after traffic.sh. Owns: the releases that most scenarios use, one for each way in, and that datagrams come
# through each way.
#   namespace   mode         way in                                     by
#   service     daemonset    Service, all values as they are            helm 4
#   several     deployment   Service, two pods                          helm 3
#   hostport    daemonset    hostPort 8126                              helm 3
#   hostnet     daemonset    hostNetwork 8125                           helm 4
#   unix        daemonset    Unix socket by hostPath, and a Service     helm 3
EXPOSED=(service several hostport hostnet unix)

deploy_service() { HELM=$BIN/helm4 deploy service "$@"; }
deploy_several() { HELM=$BIN/helm3 deploy several --set mode=deployment "$@"; }
deploy_hostport() { HELM=$BIN/helm3 deploy hostport --set exposure=hostPort,listen.port=8126 "$@"; }
deploy_hostnet() { HELM=$BIN/helm4 deploy hostnet --set exposure=hostNetwork "$@"; }
deploy_unix() { HELM=$BIN/helm3 deploy unix --set listen.unix.enabled=true "$@"; }
# Where each is reached; $NODE_IP is what pods find as status.hostIP.
address_of() {
  case $1 in
    service | several) echo "udp-proxy.$1.svc:8125" ;;
    hostport) echo "$NODE_IP:8126" ;;
    hostnet) echo "$NODE_IP:8125" ;;
    unix) echo unixgram:///var/run/udp-proxy/dsd.socket ;;
  esac
}

exposures() {
  local name pids=()
  say 'a release for each way in'
  for name in "${EXPOSED[@]}"; do
    "deploy_$name" --wait --timeout 120s >"$WORK/notes.$name" 2>&1 &
    pids+=($!)
  done
  for name in "${EXPOSED[@]}"; do
    check "$name: helm install --wait" wait_for "$name" "${pids[0]}"; pids=("${pids[@]:1}")
    check "$name: its pods are Ready" until_ok 60 ready "$name" "$(count_of "$name")"
  done
  equal 'notes: the address of the Service' "$(grep -c 'udp-proxy.service.svc:8125 (UDP)' "$WORK/notes.service")" 1
  equal 'the Service is Local for the DaemonSet' "$(traffic_policy service)" Local
  equal 'and Cluster for the Deployment' "$(traffic_policy several)" Cluster

  say 'datagrams through each'
  carries 'Service of the DaemonSet, from a pod, by DNS name' pod "$(address_of service)"
  carries 'Service of the Deployment, from a pod, by DNS name' pod "$(address_of several)"
  carries 'hostPort, from another host' client "$(address_of hostport)"
  carries_by_host_ip
  carries 'hostNetwork, from another host' client "$(address_of hostnet)"
  carries 'hostNetwork, from a pod' pod "$(address_of hostnet)"
  carries 'Unix socket, from a pod that mounts its directory' pod "$(address_of unix)"
}
count_of() { if [ "$1" = several ]; then echo 2; else echo 1; fi; }
wait_for() { wait "$2" || { cat "$WORK/notes.$1"; return 1; }; }
traffic_policy() { kubectl get service -n "$1" udp-proxy -o jsonpath='{.spec.internalTrafficPolicy}'; }

# A pod that knows the node only by status.hostIP.
carries_by_host_ip() {
  round 20000 3
  with_image "$CHART_D/by-host-ip.yaml" | kubectl apply -n targets -f - >/dev/null
  kubectl wait -n targets --for=jsonpath='{.status.phase}'=Succeeded pod/by-host-ip --timeout=30s >/dev/null || true
  ended
  kubectl logs -n targets by-host-ip >"$WORK/load"
  all_arrived 'hostPort, from a pod, by status.hostIP' 20000
  kubectl delete pod -n targets by-host-ip --wait=false >/dev/null
}

# `helm test` proves it from inside; a sink sees that the probe lines really came.
tests_pass() {
  local name
  say 'helm test'
  for name in "${EXPOSED[@]}"; do
    round 1000000 1 20
    check "$name: helm test" node "$BIN/$(if [ "$name" = several ]; then echo helm3; else echo helm4; fi)" test udp-proxy -n "$name" --timeout 60s
    ended
    equal "$name: probe lines at the targets" "$(probes_at a) $(probes_at b)" "$(probes_of "$name") $(probes_of "$name")"
  done
}
probes_at() { of "$WORK/sink.$1" foreign; }
probes_of() { echo "$((100 * $(count_of "$1")))"; }
