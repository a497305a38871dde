# shellcheck shell=bash
# Sourced by ci/chart.d/monitoring.sh. Owns: a proxy that loses datagrams in every way that can be made on one machine,
# a Prometheus that scrapes it as the rendered monitors say, and that no query of dashboard or rules is left without
# an answer.

# port STREAM|DGRAM   A port of 127.0.0.1 that nobody has.
port() {
  "$PYTHON" -c "from socket import *; s = socket(type=SOCK_$1); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"
}
# above SERIES COUNT   Whether the proxy's own count is larger.
above() {
  curl -sf "http://127.0.0.1:$ADMIN/metrics" |
    awk -v series="$1" -v count="$2" '$1 == series && $2 > count {found = 1} END {exit !found}'
}
asked() { python queries.py "http://127.0.0.1:$ASK" "$@"; }

# The proxy and its targets: `slow` has a small queue and a receiver that takes little, nobody listens at `refusing`,
# `unknown` has no address.
start_proxy() {
  local good packed slow=$WORK/slow.sock
  ADMIN=$(port STREAM) SOURCE=$(port DGRAM) good=$(port DGRAM) packed=$(port DGRAM)
  background "$WORK/good.log" "$UDP_PROXY" sink --source "127.0.0.1:$good" --source "127.0.0.1:$packed"
  background "$WORK/slow.log" "$UDP_PROXY" sink --source "unixgram://$slow" --delay 200ms
  until_ok 10 test -S "$slow"
  background "$WORK/proxy.log" "$UDP_PROXY" --source "127.0.0.1:$SOURCE" --admin "127.0.0.1:$ADMIN" \
    --shards 1 --buffer 1000 --readbuffer 1 \
    --target "good=127.0.0.1:$good" --target "packed=127.0.0.1:$packed?pack=mtu" \
    --target "slow=unixgram://$slow?queue=5" --target "refusing=127.0.0.1:$(port DGRAM)" \
    --target unknown=name.invalid:8125
  PROXY_PID=$LAST_PID
  until_ok 20 curl -sf "http://127.0.0.1:$ADMIN/livez"
}

# A Prometheus with the rendered rules, each alert without its `for`, which scrapes the proxy by each way to do so.
start_prometheus() {
  local rendered=$WORK/live admin=--set=admin.port=$ADMIN rules=(--set=metrics.prometheusRule.enabled=true) alert
  local pods=(--set=metrics.podMonitor.enabled=true "$admin")
  mkdir -p "$rendered"
  for alert in $(monitored "$BIN/helm4" "${rules[@]}" | python rules.py alerts); do
    rules+=("--set=metrics.prometheusRule.rules.${alert#UdpProxy}.for=")
  done
  monitored "$BIN/helm4" -n pods "${rules[@]}" | python rules.py groups >"$rendered/rules.yaml"
  monitored "$BIN/helm4" -n pods "${pods[@]}" >"$rendered/pods.yaml"
  monitored "$BIN/helm4" -n node "${pods[@]}" --set=exposure=hostNetwork >"$rendered/node.yaml"
  monitored "$BIN/helm4" -n six "${pods[@]}" --set=exposure=hostNetwork >"$rendered/six.yaml"
  monitored "$BIN/helm4" -n service "$admin" --set=metrics.serviceMonitor.enabled=true >"$rendered/service.yaml"
  KSM=$(port STREAM) ASK=$(port STREAM)
  mkdir "$rendered/ksm"; cp "$MONITORING_D/kube-state-metrics.txt" "$rendered/ksm/metrics"
  background "$WORK/ksm.log" "$PYTHON" -m http.server --bind 127.0.0.1 --directory "$rendered/ksm" "$KSM"
  python scrape.py config "$rendered/rules.yaml" "127.0.0.1:$KSM" pods="$rendered/pods.yaml@127.0.0.1" \
    node="$rendered/node.yaml@127.0.0.1" six="$rendered/six.yaml@::1" service="$rendered/service.yaml@127.0.0.1" \
    >"$rendered/prometheus.yml"
  check 'its configuration is one' "$PROMETHEUS/usr/bin/promtool" check config "$rendered/prometheus.yml"
  background "$WORK/prometheus.log" "$PROMETHEUS/usr/bin/prometheus" --config.file="$rendered/prometheus.yml" \
    --storage.tsdb.path="$WORK/tsdb" --web.listen-address="127.0.0.1:$ASK"
  until_ok 20 curl -sf "http://127.0.0.1:$ASK/-/ready"
}

# Everything that can be lost, once the counters have been seen at zero.
lose() {
  local drops="udp_proxy_kernel_drops_total{listener=\"127.0.0.1:$SOURCE\"}"
  background "$WORK/load.log" "$UDP_PROXY" load --target "127.0.0.1:$SOURCE" --rate 500 --duration 90s
  check 'datagrams that are too large' "$UDP_PROXY" load --target "127.0.0.1:$SOURCE" --size 1400 --count 20 --rate 100
  kill -STOP "$PROXY_PID"
  check 'more datagrams than are kept for a proxy that stands still' \
    "$UDP_PROXY" load --target "127.0.0.1:$SOURCE" --count 20000 --rate 20k
  kill -CONT "$PROXY_PID"
  check 'the kernel dropped some' until_ok 10 above "$drops" 0
  check 'a full queue dropped some' until_ok 10 above 'udp_proxy_dropped_total{target="slow",reason="queue_full"}' 0
  check 'truncated ones were dropped' until_ok 10 above 'udp_proxy_dropped_total{target="good",reason="truncated"}' 19
}

# unanswered 'what is claimed' KIND FILE NAME   The questions with NAME in FILE have no answer, and no others.
unanswered() {
  local found
  found=$(asked 1 "$2" "$3" 2>&1 || true)
  check "$1" grep -q "has no answer: .*$4" <<<"$found"
  equal '… and it is the only one' "$(grep -vc "has no answer: .*$4" <<<"$found")" 0
}

monitoring_prometheus() {
  [ -x "${UDP_PROXY-}" ] || die "UDP_PROXY: '${UDP_PROXY-}' is no program: give target/release/udp-proxy"
  command -v curl >/dev/null || apt curl ca-certificates
  prometheus_tools
  say 'monitoring: a proxy and its Prometheus'
  start_proxy
  start_prometheus
  check 'it is scraped before anything is lost' asked 20 rules "$WORK/live/rules.yaml"

  say 'monitoring: what the monitors find'
  python scrape.py targets "http://127.0.0.1:$ASK" >"$WORK/targets"
  local told="http://127.0.0.1:$ADMIN/metrics rel-udp-proxy" end='rel-udp-proxy-a node1 udp-proxy'
  equal 'PodMonitor, with ports' "$(grep '^pods ' "$WORK/targets")" "pods $told pods $end"
  equal 'PodMonitor, hostNetwork' "$(grep '^node ' "$WORK/targets")" "node $told node $end"
  equal 'PodMonitor, IPv6' "$(grep '^six ' "$WORK/targets")" "six http://[::1]:$ADMIN/metrics rel-udp-proxy six $end"
  equal 'ServiceMonitor' "$(grep '^service ' "$WORK/targets")" "service $told service $end"

  say 'monitoring: every question has an answer'
  lose
  check 'all queries of the dashboard' asked 20 dashboard "$CHART/files/dashboard.json"
  check 'all series of the rules' asked 20 rules "$WORK/live/rules.yaml"
  equal 'alerts that fire' "$(asked 20 firing 5)" \
    'UdpProxyKernelDrops UdpProxyOtherDrops UdpProxyTargetDown UdpProxyTargetQueueDrops UdpProxyTargetUnresolved'

  say 'monitoring: a misspelt name would be found'
  local panels=$CHART/files/dashboard.json rules=$WORK/live/rules.yaml
  sed 's/udp_proxy_queued_high/udp_proxy_queue_high/' "$panels" >"$WORK/misspelt.json"
  unanswered 'in a panel' dashboard "$WORK/misspelt.json" udp_proxy_queue_high
  sed 's/label_values(udp_proxy_target_up/label_values(udp_proxy_targets_up/' "$panels" >"$WORK/misspelt.json"
  unanswered 'in a variable' dashboard "$WORK/misspelt.json" udp_proxy_targets_up
  sed 's/udp_proxy_target_resolved/udp_proxy_target_resolves/' "$rules" >"$WORK/misspelt.yaml"
  unanswered 'in an alert' rules "$WORK/misspelt.yaml" udp_proxy_target_resolves
  sed 's/reason="queue_full"/reason="queue_ful"/' "$rules" >"$WORK/misspelt.yaml"
  unanswered 'in a label' rules "$WORK/misspelt.yaml" queue_ful
}
