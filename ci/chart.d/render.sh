# shellcheck shell=bash
# Sourced by ci/chart: what the chart makes of values, right ones and wrong ones. Needs no cluster.
#   HELM   helm3 or helm4
export CHART=charts/udp-proxy
RIGHT=(--set targets.a.address=a.example:8125)

# rendered HELM FILE   The objects of a file of values, without the empty lines in which versions of Helm differ.
rendered() { "$1" template udp "$CHART" --namespace mon -f "$2" --kube-version 1.37.0 | grep -v '^ *$'; }

# chart_goldens   Each file of values gives the objects that were looked at; UPDATE=1 writes them anew.
chart_goldens() {
  say 'golden renders'
  local values name
  for values in ci/chart.d/values/*.yaml; do
    name=$(basename "$values" .yaml)
    [ -z "${UPDATE-}" ] || rendered "$BIN/helm4" "$values" >"ci/chart.d/golden/$name.yaml"
    for helm in helm3 helm4; do
      check "$name, $helm" diff "ci/chart.d/golden/$name.yaml" <(rendered "$BIN/$helm" "$values")
    done
    check "$name, lint" "$BIN/helm4" lint --strict --quiet "$CHART" -f "$values"
    check "$name, lint by helm 3" "$BIN/helm3" lint --strict --quiet "$CHART" -f "$values"
  done
  check 'no golden render is without its values' diff <(ls ci/chart.d/golden) <(ls ci/chart.d/values)
}

# chart_schemas   Every render is clean by the schemas of every version of Kubernetes that the chart claims.
chart_schemas() {
  say 'schemas of Kubernetes'
  local versions
  versions=$(seq -f '1.%g' 25 37)
  # shellcheck disable=SC2086 # the words of a list
  check 'every render, in 1.25 to 1.37' "$PYTHON" ci/chart.d/validate.py $versions -- ci/chart.d/golden/*.yaml
  sed 's/minReadySeconds/minimalReadySeconds/' ci/chart.d/golden/minimal.yaml >"$WORK/misspelt.yaml"
  check 'a misspelt key is found' bash -c "! '$PYTHON' ci/chart.d/validate.py 1.37 -- '$WORK/misspelt.yaml' >'$WORK/misspelt' && grep -q minimalReadySeconds '$WORK/misspelt'"
  check 'values.yaml and values.schema.json are of one mind' "$PYTHON" ci/chart.d/schema.py "$CHART"
}

# refused WORDS TEXT   Helm refuses the values, and one line of what it says has the text.
refused() {
  local args out code=0
  read -ra args <<<"$1"
  [ "${args[0]-}" = bare ] && args=("${args[@]:1}") || args=("${RIGHT[@]}" "${args[@]}")
  out=$("$BIN/$HELM" template udp "$CHART" ${args[@]+"${args[@]}"} 2>&1 >/dev/null) || code=$?
  [ "$code" -ne 0 ] && [ "$(grep -cF -- "$2" <<<"$out")" = 1 ] && [ "$(wc -l <<<"$out")" -le 4 ] && return
  echo "exit code $code, and:"; echo "$out"; return 1
}

chart_refusals() {
  say 'values that cannot work'
  local words text cases=0
  while IFS='|' read -r words text; do
    case $words in '#'* | '') continue ;; esac
    words=${words% } text=${text# } cases=$((cases + 1))
    HELM=helm4 check "${words#--set }" refused "$words" "$text"
  done <ci/chart.d/wrong.txt
  check "$cases cases, at least 25" test "$cases" -ge 25
  HELM=helm3 check 'by helm 3 as well' refused '--set exposure=hostPort,updateStrategy.type=RollingUpdate,updateStrategy.rollingUpdate.maxSurge=1' 'a host port can be had by one pod only'
}

# notes WORDS   What the notes say after an installation.
notes() { "$BIN/helm4" install udp "$CHART" --namespace mon --dry-run=client "${RIGHT[@]}" "$@" 2>/dev/null | sed -n '/^NOTES:/,$p'; }
# says 'what' TEXT WORDS…   The notes have the text.
says() { local what=$1 text=$2; shift 2; check "$what" grep -qF -- "$text" <(notes "$@"); }
# silent 'what' TEXT WORDS…   They have not.
silent() { local what=$1 text=$2; shift 2; check "$what" bash -c '[ -n "$1" ] && ! grep -qF -- "$2" <<<"$1"' _ "$(notes "$@")" "$text"; }

chart_notes() {
  say 'notes'
  local label='kubectl label namespace mon pod-security.kubernetes.io/enforce=privileged' warning='WARNING: internalTrafficPolicy is Local and not every node has a pod'
  says 'service: the name' 'udp-udp-proxy.mon.svc:8125 (UDP)'
  silent 'service: no label is needed' "$label"
  silent 'service: no warning' WARNING
  says 'hostPort: the address' 'fieldPath: status.hostIP' --set exposure=hostPort
  says 'hostPort: the label' "$label" --set exposure=hostPort
  says 'hostPort: the gap' 'WARNING: at each rollout a node has no pod' --set exposure=hostPort
  says 'hostNetwork: the label' "$label" --set exposure=hostNetwork
  silent 'hostNetwork: no gap' WARNING --set exposure=hostNetwork
  says 'hostNetwork without a surge: the gap' 'WARNING: updateStrategy has no maxSurge' --set exposure=hostNetwork \
    --set updateStrategy.type=RollingUpdate,updateStrategy.rollingUpdate.maxUnavailable=1
  says 'unix socket: the path' '/var/run/udp-proxy/dsd.socket of their node' --set listen.unix.enabled=true
  says 'unix socket: the label' "$label" --set listen.unix.enabled=true
  says 'Local and a nodeSelector' "$warning" --set nodeSelector.pool=apps
  says 'Local and a Deployment' "$warning" --set mode=deployment,service.internalTrafficPolicy=Local
  silent 'Cluster and a nodeSelector' "$warning" --set nodeSelector.pool=apps,service.internalTrafficPolicy=Cluster
  silent "a Deployment by itself" "$warning" --set mode=deployment
  says 'too short a delay' 'they need up to 10 seconds' --set proxy.shutdownDelaySeconds=5
  says 'a slower probe' 'they need up to 19 seconds' --set proxy.shutdownDelaySeconds=18,probes.readiness.periodSeconds=5,probes.readiness.failureThreshold=3
  silent 'a slower probe by itself' WARNING --set probes.readiness.periodSeconds=5,probes.readiness.failureThreshold=3
  says 'helm test' 'helm test udp --namespace mon'
  says 'the targets' 'Every datagram goes to 2 targets: a, b.' --set targets.b.address=b:1
  says 'injection: the label' 'udp-proxy/inject: "true"' --set sidecarInjection.enabled=true
  check 'injection: no target' grep -q 'WARNING: no target is set, so only pods with the annotation' \
    <("$BIN/helm4" install udp $CHART --dry-run=client --set mode=injectOnly,sidecarInjection.enabled=true 2>&1)
  check 'injection: not asked for' grep -q 'WARNING: nothing is installed' <("$BIN/helm4" install udp $CHART --dry-run=client --set mode=injectOnly 2>&1)
  check 'injection: not served' grep -q '1.30.0 does not serve' <("$BIN/helm4" template udp $CHART "${RIGHT[@]}" --kube-version 1.30.0 \
    --set sidecarInjection.enabled=true --set-json 'extraObjects=["notes: {{ include \"udp-proxy.injection.notes\" . | toJson }}"]')
}

# chart_package   Packaged, pushed to a registry of our own and taken from there, as docs/release.md says.
chart_package() {
  say 'package and registry'
  local version port registry
  version=$(sed -n 's/^version: //p' $CHART/Chart.yaml)
  check 'helm-docs finds nothing to change in the README' bash -c "
    cp -r $CHART '$WORK/docs' && '$TOOLS/helm-docs' -c '$WORK/docs' -l warning && diff $CHART/README.md '$WORK/docs/README.md'"
  equal 'the chart installs this program' "$(sed -n 's/^appVersion: //p' $CHART/Chart.yaml)" "$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)"
  equal 'pages and manifests name the image of this version' \
    "$(grep -ohE 'ghcr.io/udp-proxy/udp-proxy:[0-9.]+[0-9]' docs/*.md deploy -r | sort -u)" "ghcr.io/udp-proxy/udp-proxy:$(sed -n 's/^appVersion: //p' $CHART/Chart.yaml)"
  check 'it is packaged' "$BIN/helm4" package $CHART -d "$WORK"
  check 'what is in the package lints' "$BIN/helm3" lint --strict --quiet "$WORK/udp-proxy-$version.tgz" "${RIGHT[@]}"
  background "$WORK/registry.log" "$TOOLS/crane" registry serve --address 127.0.0.1:0
  registry=$LAST_PID
  until_ok 20 grep -q 'serving on port' "$WORK/registry.log" || die 'the registry does not start'
  port=$(sed -n 's/.*serving on port \([0-9]*\).*/\1/p' "$WORK/registry.log")
  for helm in helm3 helm4; do
    check "$helm pushes it" "$BIN/$helm" push "$WORK/udp-proxy-$version.tgz" "oci://127.0.0.1:$port/charts" --plain-http
    check "$helm renders what is there" "$BIN/$helm" template udp "oci://127.0.0.1:$port/charts/udp-proxy" --version "$version" --plain-http "${RIGHT[@]}"
  done
  stop "$registry"
  local previous
  for previous in ci/chart.d/previous/*.tgz; do
    check "values of $(basename "$previous" .tgz) are taken" "$BIN/helm4" template udp $CHART -f ci/sidecar.d/values.yaml
    check 'and were right there' "$BIN/helm4" template udp "$previous" -f ci/sidecar.d/values.yaml
  done
}
