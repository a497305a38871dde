# shellcheck shell=bash
# Sourced after expose.sh. Owns: what the API server admits (security levels, NetworkPolicy, monitoring objects), and that
# an upgrade from the previous chart and an uninstall leave what they should.

restricted() {
  say 'a namespace that enforces the restricted level'
  kubectl label namespace restricted pod-security.kubernetes.io/enforce=restricted
  check 'exposure service is installed there, with a NetworkPolicy' deploy restricted --set networkPolicy.enabled=true --wait --timeout 60s
  check 'its pod is Ready' until_ok 30 ready restricted
  until_ok 10 served restricted
  equal 'the API server has the NetworkPolicy (nothing enforces it in this cluster)' \
    "$(kubectl get networkpolicy -n restricted udp-proxy -o jsonpath='{.spec.policyTypes}')" '["Ingress","Egress"]'
  carries 'datagrams come to both targets' pod udp-proxy.restricted.svc:8125
  round 1000000 1 20; check 'helm test' node "$BIN/helm4" test udp-proxy -n restricted --timeout 60s; ended
  check 'it goes' uninstall restricted

  check 'exposure hostNetwork is taken' deploy_refused
  check 'but its pods are refused' until_ok 30 refused
  check 'so it has none of the one it should have' until_ok 20 none_of_one
  local advice; advice=$(sed -n 's/^ *\(kubectl label namespace .*\)/\1/p' "$WORK/notes")
  equal 'the notes say what the namespace needs' "$advice" 'kubectl label namespace restricted pod-security.kubernetes.io/enforce=privileged'
  # shellcheck disable=SC2086 # the words of the advice
  check 'with that' node $advice --overwrite
  check 'its pod comes and is Ready' until_ok 60 ready restricted
  carries 'datagrams come to both targets' client "$NODE_IP:8127"
}
deploy_refused() { deploy restricted --set exposure=hostNetwork,listen.port=8127,admin.port=2214 >"$WORK/notes"; }
none_of_one() { [ "$(kubectl get daemonset -n restricted udp-proxy -o jsonpath='{.status.desiredNumberScheduled} {.status.currentNumberScheduled}')" = '1 0' ]; }
refused() {
  kubectl get events -n restricted --field-selector reason=FailedCreate -o 'jsonpath={.items[*].message}' |
    grep -qF 'violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)'
}

# The operator's CRDs are the cluster's: they go again, for nothing may be left.
monitored_release() {
  local kind pod answers='' addresses scraped=(--set "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true")
  say 'monitoring'
  monitoring_crds "$WORK/crds"
  check "the operator's CRDs" kubectl apply --server-side -f "$WORK/crds"
  check 'they are served' kubectl wait --for=condition=Established crd --all --timeout=30s
  for kind in serviceMonitor podMonitor; do
    check "$kind, rules, dashboard and all else: no field is unknown to the API server" strictly \
      --set "metrics.$kind.enabled=true,metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true,networkPolicy.enabled=true"
  done
  check 'a release with them' deploy_several "${scraped[@]}"
  equal 'what the API server has' "$(kubectl get servicemonitors,prometheusrules -n several -o 'jsonpath={.items[*].kind}')" 'ServiceMonitor PrometheusRule'
  # As the operator has Prometheus do it: each address behind the headless Service.
  addresses=$(resolved udp-proxy-admin.several.svc.cluster.local)
  equal 'the headless Service names every pod' "$addresses" "$(pods several '.status.podIP' | tr ' ' '\n' | sort | paste -sd ' ')"
  for pod in $addresses; do answers+="$(client python3 -c "
import sys, urllib.request
print(urllib.request.urlopen('http://$pod:2204/metrics', timeout=5).read().decode().count('# TYPE udp_proxy_received_total counter'))")"; done
  equal 'each answers a scrape' "$answers" 11
  check 'the release goes back' deploy_several
  check 'and has no monitoring' test -z "$(kubectl get servicemonitors,prometheusrules -n several -o name)"
  kubectl delete -f "$WORK/crds" >/dev/null
}
strictly() {
  "$BIN/helm4" template udp-proxy "$CHART" -n service -f "$CHART_D/values.yaml" --no-hooks "$@" |
    kubectl apply -n service --dry-run=server --validate=strict -f -
}
# resolved NAME   Its addresses by the cluster's DNS, in order, on one line.
resolved() {
  echo "nameserver $DNS_IP" >"$WORK/resolv.conf"
  client unshare -m sh -c 'mount --bind "$1" /etc/resolv.conf && getent ahostsv4 "$2"' _ "$WORK/resolv.conf" "$1" |
    awk '{ print $1 }' | sort -u | paste -sd ' '
}

# docs/kubernetes.md's first steps, as they stand.
documented() {
  say "the first metric, by the page's commands"
  ln -sf "$BIN/helm4" "$WORK/helm"
  sed -n '/^## The first metric/,/^## The dual/p' docs/kubernetes.md | sed -n '/^```sh/,/^```/p' | sed '/^```/d' >"$WORK/page.sh"
  check 'all succeed' page
  equal 'both targets say that nothing was lost' "$(grep -c 'lost 0' "$WORK/page.log")" 2
  equal 'the namespace is gone' "$(kubectl get namespace udp-proxy --ignore-not-found)" ''
}
page() { node env PATH="$WORK:$BIN:$PATH" bash -ex "$WORK/page.sh" >"$WORK/page.log" 2>&1 || { cat "$WORK/page.log"; return 1; }; }

# What is stored in the cluster, but for what comes and goes by itself.
everything() {
  local kinds; kinds=$(kubectl api-resources --verbs=list -o name | grep -vE '^(events|leases|componentstatuses|ipaddresses)(\.|$)' | paste -sd,)
  kubectl get "$kinds" -A --ignore-not-found --no-headers -o custom-columns=K:.kind,S:.metadata.namespace,N:.metadata.name 2>/dev/null | sort
}
nothing_more() { everything >"$WORK/after" && diff "$WORK/before" "$WORK/after"; }
SPACES=("${EXPOSED[@]}" health restricted previous)
spaces_up() {
  local name
  for name in "${SPACES[@]}"; do kubectl create namespace "$name"; done >/dev/null
  for name in "${SPACES[@]}"; do until_ok 30 kubectl get serviceaccount/default configmap/kube-root-ca.crt -n "$name"; done
  everything >"$WORK/before"
}
gone() {
  local name
  say 'uninstall'
  for name in "${EXPOSED[@]}" health restricted; do check "$name" uninstall "$name"; done
  kubectl delete service -n targets later >/dev/null
  check 'nothing is left in the whole cluster that was not there before' until_ok 60 nothing_more || diff "$WORK/before" "$WORK/after"
}

# The previous chart had nothing but the policy; its values are given again, as one does.
upgraded() {
  local given=(--namespace previous --set mode=injectOnly,sidecarInjection.enabled=true -f "$CHART_D/values.yaml")
  say 'upgrade from the previous chart'
  check 'it is installed' node "$BIN/helm3" install udp-proxy "$ROOT"/ci/chart.d/previous/udp-proxy-*.tgz "${given[@]}"
  check 'its policy works' until_ok 60 injects
  local before; before=$(policies)
  check 'it is upgraded' node "$BIN/helm3" upgrade udp-proxy "$CHART" "${given[@]}"
  equal 'the policy and its binding are the same objects' "$(policies)" "$before"
  check 'and work' until_ok 60 injects
  check 'it goes' uninstall previous
}
injects() {
  with_image "$CHART_D/asks.yaml" | kubectl create -n targets --dry-run=server -f - \
    -o 'jsonpath={.spec.initContainers[0].name} {.spec.initContainers[0].image} {.spec.initContainers[0].env}' |
    grep -q "^udp-proxy $IMAGE .*a.targets.svc.cluster.local:8125"
}
policies() { kubectl get mutatingadmissionpolicies,mutatingadmissionpolicybindings -o 'jsonpath={.items[*].metadata.uid}'; }
