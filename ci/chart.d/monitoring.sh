# shellcheck shell=bash
# Sourced, after ci/lib.sh and ci/cluster.d/env.sh; needs $BIN/helm3 and $BIN/helm4 (ci/cluster.d/get.sh tools) and go,
# but no cluster. Owns: that what the chart tells Prometheus and Grafana is right, by their own programs and schemas.
#   PYTHON      a python3 with what ci/chart.d/requirements.txt names
#   UDP_PROXY   the program to scrape; without it, it is built
#
#   monitoring               all of it:
#   monitoring_renders       what is rendered, what is refused, the operator's own CRDs, the dashboard's file
#   monitoring_rules         when each alert fires and when not, by promtool
#   monitoring_prometheus    (live.sh) every query of dashboard and rules has an answer in a Prometheus that scrapes one
#   monitoring_crds FOLDER   puts the operator's CRDs into FOLDER, for an API server
MONITORING_D=$ROOT/ci/chart.d/monitoring
CHART=${CHART:-$ROOT/charts/udp-proxy}
# The operator's module, which has the CRDs in it, by its sum.
OPERATOR=github.com/prometheus-operator/prometheus-operator@v0.85.0
OPERATOR_SUM=h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=
ALL_METRICS=(--set=metrics.podMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true)

# monitored HELM argument…   The chart as release rel in namespace ns.
monitored() {
  local helm=$1; shift
  "$helm" template rel "$CHART" -n ns --set-string targets.a.address=10.0.0.1:8125 "$@"
}
# python FILE argument…   One of our own programs.
python() { "$PYTHON" "$MONITORING_D/$1" "${@:2}"; }

# Debian's Prometheus, unpacked but not installed: an installed one starts to serve.
prometheus_tools() {
  local archive fetch='apt-get download -q prometheus'
  PROMETHEUS=$CACHE/prometheus
  if [ ! -x "$PROMETHEUS/usr/bin/promtool" ]; then
    mkdir -p "$WORK/deb"
    (cd "$WORK/deb" && { $fetch || { apt-get update -q && $fetch; }; }) >"$CACHE/apt.log" 2>&1 ||
      die "$fetch failed: $(tail -n 1 "$CACHE/apt.log")"
    archive=("$WORK"/deb/*.deb)
    dpkg -x "${archive[0]}" "$WORK/prometheus"
    rm -rf "$PROMETHEUS"; mv "$WORK/prometheus" "$PROMETHEUS"
  fi
  check 'promtool runs' "$PROMETHEUS/usr/bin/promtool" --version
}

monitoring_crds() {
  local module folder
  module=$(cd "$WORK" && go mod download -json "$OPERATOR")
  grep -qF "\"Sum\": \"$OPERATOR_SUM\"" <<<"$module" || die "$OPERATOR has another sum than $OPERATOR_SUM"
  folder=$(sed -n 's/^\s*"Dir": "\(.*\)",$/\1/p' <<<"$module")/example/prometheus-operator-crd
  mkdir -p "$1"
  cp "$folder"/*_{podmonitors,servicemonitors,prometheusrules}.yaml "$1/"
  chmod u+w "$1"/*
}

# kinds HELM argument…   The kinds under templates/monitoring/, on one line.
kinds() {
  monitored "$@" | awk '/^# Source:/ {ours = /\/monitoring\//} ours && /^kind: / {print $2}' | sort | paste -sd ' '
}

# monitoring_refuses 'what is claimed' TEXT argument…   Both Helms refuse it, and TEXT is in what they say.
monitoring_refuses() {
  local what=$1 text=$2 helm; shift 2
  for helm in "$BIN/helm3" "$BIN/helm4"; do
    check "$what ($(basename "$helm"))" grep -qF -- "$text" <(monitored "$helm" "$@" 2>&1 >/dev/null || true)
  done
}

monitoring_renders() {
  local helm alert name before service=(--set=metrics.serviceMonitor.enabled=true) rules=metrics.prometheusRule.rules
  say 'monitoring: what is rendered'
  for helm in "$BIN/helm3" "$BIN/helm4"; do
    equal "nothing by default ($(basename "$helm"))" "$(kinds "$helm")" ''
    equal 'nothing with injectOnly' "$(kinds "$helm" --set mode=injectOnly)" ''
    equal 'what is enabled' "$(kinds "$helm" "${ALL_METRICS[@]}")" 'ConfigMap PodMonitor PrometheusRule'
    equal 'the other monitor' "$(kinds "$helm" "${service[@]}")" 'ServiceMonitor'
  done
  monitoring_refuses 'both monitors are refused' 'every pod would be scraped twice: enable one of them' \
    "${ALL_METRICS[@]}" "${service[@]}"
  for name in podMonitor serviceMonitor prometheusRule dashboard; do
    monitoring_refuses "$name without pods is refused" "metrics.$name.enabled: mode injectOnly runs no proxy" \
      --set "mode=injectOnly,metrics.$name.enabled=true"
  done
  monitoring_refuses 'an unknown alert is refused' "KernelDrop" --set "$rules.KernelDrop.enabled=false"
  monitoring_refuses 'an interval that is none is refused' 'interval' --set metrics.podMonitor.interval=often

  say 'monitoring: each alert can be switched off'
  monitored "$BIN/helm4" "${ALL_METRICS[@]}" >"$WORK/monitored.yaml"
  before=$(python rules.py alerts <"$WORK/monitored.yaml")
  equal 'alerts' "$(wc -l <<<"$before")" 10
  for alert in $before; do
    monitored "$BIN/helm4" "${ALL_METRICS[@]}" --set "$rules.${alert#UdpProxy}.enabled=false" |
      python rules.py alerts >"$WORK/alerts"
    check "all but ${alert#UdpProxy}" diff "$WORK/alerts" <(grep -vx "$alert" <<<"$before")
    check "docs/monitoring.md has a runbook for $alert" grep -qx "### $alert" "$ROOT/docs/monitoring.md"
  done
  equal 'and has none for another' "$(grep -c '^### UdpProxy' "$ROOT/docs/monitoring.md")" 10

  say "monitoring: the operator's CRDs"
  monitoring_crds "$WORK/crds"
  local settings=(--set 'metrics.MON.interval=30s,metrics.MON.scrapeTimeout=10s'
    --set 'metrics.MON.labels.release=kps,metrics.MON.annotations.a=b'
    --set 'metrics.MON.relabelings[0].targetLabel=cluster,metrics.MON.relabelings[0].replacement=c'
    --set 'metrics.MON.metricRelabelings[0].action=drop,metrics.MON.metricRelabelings[0].regex=x')
  monitored "$BIN/helm4" "${ALL_METRICS[@]}" "${settings[@]//MON/podMonitor}" -f "$MONITORING_D/rules.values.yaml" \
    >"$WORK/full.yaml"
  monitored "$BIN/helm3" "${service[@]}" "${settings[@]//MON/serviceMonitor}" >"$WORK/service.yaml"
  equal 'every field is known to them' "$(python crds.py "$WORK/crds" "$WORK"/{monitored,full,service}.yaml)" \
    'PodMonitor PrometheusRule ServiceMonitor'
  sed 's/scrapeTimeout:/scrapeTimeOut:/' "$WORK/full.yaml" >"$WORK/misspelt.yaml"
  check 'a misspelt field would be found' \
    grep -q "'scrapeTimeOut' was unexpected" <(python crds.py "$WORK/crds" "$WORK/misspelt.yaml" 2>&1)

  say 'monitoring: the dashboard'
  check 'its file is what its rows say' python dashboard.py check "$CHART/files/dashboard.json"
  monitored "$BIN/helm3" "${ALL_METRICS[@]}" -s templates/monitoring/dashboard.yaml | sed -n 's/^    \([ {}]\)/\1/p' \
    >"$WORK/dashboard.json"
  check 'it is rendered as it is' cmp "$WORK/dashboard.json" "$CHART/files/dashboard.json"
}

# ruled CASES argument…   The rendered rules pass CASES.test.yaml.
ruled() {
  local cases=$1 dir=$WORK/rules/$1 promtool=$PROMETHEUS/usr/bin/promtool; shift
  mkdir -p "$dir"
  monitored "$BIN/helm4" --set=metrics.prometheusRule.enabled=true "$@" | python rules.py groups >"$dir/rules.yaml"
  cp "$MONITORING_D/$cases.test.yaml" "$dir/"
  check "$cases: the rules are rules" "$promtool" check rules "$dir/rules.yaml"
  check "$cases: they fire when they should, and only then" "$promtool" test rules "$dir/$cases.test.yaml"
}

monitoring_rules() {
  say 'monitoring: alerts, by promtool'
  prometheus_tools
  ruled daemonset
  ruled deployment --set mode=deployment
  ruled changed -f "$MONITORING_D/rules.values.yaml"
  check 'each alert has a case in which it fires, and one in which it does not' \
    python rules.py cases "$MONITORING_D/daemonset.test.yaml" \
    < <(monitored "$BIN/helm4" --set=metrics.prometheusRule.enabled=true)
}

# shellcheck source=ci/chart.d/monitoring/live.sh
source "$MONITORING_D/live.sh"

monitoring() {
  monitoring_renders
  monitoring_rules
  if [ -z "${UDP_PROXY-}" ]; then
    check 'the program is built' cargo build --locked --release --quiet
    UDP_PROXY=${CARGO_TARGET_DIR:-$ROOT/target}/release/udp-proxy
  fi
  monitoring_prometheus
}
