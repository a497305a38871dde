# shellcheck shell=bash
# Sourced, after ci/lib.sh and ci/cluster.d/env.sh; needs helm and kubectl, but no cluster. Owns: which clusters get the
# policy, what kustomize and the named template make of their input.
#   IMAGE   repository:tag
SIDECAR_D=$ROOT/ci/sidecar.d
CHART=${CHART:-$ROOT/charts/udp-proxy}
TARGETS='datadog=$(HOST_IP):8125?pack=mtu&queue=100000 otel=otel.monitoring:8125'   # as in values.yaml
settings() { echo "--set-string=image.registry=,image.repository=${IMAGE%:*},image.tag=${IMAGE##*:}"; }

# by_kustomize FILE [TARGETS]   The file through the component.
by_kustomize() {
  local dir; dir=$(mktemp -d -p "$WORK")
  cp -r "$ROOT/deploy/kustomize/sidecar" "$dir/"; cp "$1" "$dir/in.yaml"
  cat >"$dir/kustomization.yaml" <<Y
resources: [in.yaml]
components: [sidecar]
images: [{name: ghcr.io/udp-proxy/udp-proxy, newName: ${IMAGE%:*}, newTag: ${IMAGE##*:}}]
Y
  [ -z "${2-}" ] || cat >>"$dir/kustomization.yaml" <<Y
configMapGenerator:
  - name: udp-proxy-sidecar
    literals: ['targets=$2']
    options: {disableNameSuffixHash: true, annotations: {config.kubernetes.io/local-config: "true"}}
Y
  "$BIN/kubectl" kustomize "$dir"
}

# by_template HELM [VALUES]   The pods of a chart that has ours as a dependency.
by_template() {
  local dir set; dir=$(mktemp -d -p "$WORK") set=$(settings)
  mkdir "$dir/charts"; cp -r "$SIDECAR_D/author/." "$dir"; cp -r "$CHART" "$dir/charts/udp-proxy"
  { echo 'udp-proxy:'; echo '  mode: injectOnly'; [ -z "${2-}" ] || sed -n '/^targets:/,/^[^ ]*:$/p' "$2" | grep -v '^sidecarInjection' | sed 's/^/  /'; } >"$dir/values.yaml"
  "$1" template author "$dir" "${set//image./udp-proxy.image.}"
}

# versions HELM argument…   The versions and kinds that the chart renders of the policy, on one line.
versions() {
  local helm=$1; shift
  "$helm" template r "$CHART" --set mode=injectOnly --set targets.a.address=10.0.0.1:8125 "$@" |
    sed -n 's/^apiVersion: //p; s/^kind: //p' | paste -sd ' ' | { grep -o 'admissionregistration.*' || true; }
}

sidecar_renders() {
  local helm on=--set=sidecarInjection.enabled=true v1=admissionregistration.k8s.io/v1
  both() { echo "$1 MutatingAdmissionPolicy $1 MutatingAdmissionPolicyBinding"; }
  for helm in "$BIN/helm3" "$BIN/helm4"; do
    say "which clusters get the policy, by $(basename "$helm")"
    equal '1.36' "$(versions "$helm" $on --kube-version 1.36.0)" "$(both $v1)"
    equal '1.37' "$(versions "$helm" $on --kube-version 1.37.2)" "$(both $v1)"
    equal 'a vendor version' "$(versions "$helm" $on --kube-version v1.36.1-gke.100)" "$(both $v1)"
    equal '1.35 where it serves the beta' \
      "$(versions "$helm" $on --kube-version 1.35.4 --api-versions ${v1}beta1/MutatingAdmissionPolicy)" "$(both ${v1}beta1)"
    equal '1.35 where it does not' "$(versions "$helm" $on --kube-version 1.35.4)" ''
    equal '1.29' "$(versions "$helm" $on --kube-version 1.29.0)" ''
    equal 'not asked for' "$(versions "$helm" --kube-version 1.37.2)" ''
    check 'the named template without targets is refused' \
      grep -q 'udp-proxy.sidecar: there is no target: give targets' <(by_template "$helm" 2>&1 || true)
  done

  say 'kustomize'
  by_kustomize "$SIDECAR_D/kinds.yaml" "$TARGETS" >"$WORK/kinds.yaml"
  equal 'each kind has one sidecar' "$(grep -c 'name: udp-proxy$' "$WORK/kinds.yaml")" 7
  equal 'with the targets' "$(grep -cF "value: $TARGETS" "$WORK/kinds.yaml")" 7
  equal 'the ConfigMap that names them is not applied' "$(grep -c 'kind: ConfigMap' "$WORK/kinds.yaml")" 0
  check 'without it nothing is made' grep -q 'udp-proxy-sidecar' <(by_kustomize "$SIDECAR_D/kinds.yaml" 2>&1 || true)
}
