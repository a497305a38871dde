# shellcheck shell=bash
# Sourced, after ci/lib.sh and ci/cluster.d/env.sh; needs helm only. Owns: when the chart renders the policy, and what
# the named template refuses.
CHART=${CHART:-$ROOT/charts/udp-proxy}

# policy HELM argument…   The versions and kinds that the chart renders of the policy, on one line.
policy() {
  local helm=$1; shift
  "$helm" template r "$CHART" --set mode=injectOnly --set targets.a.address=10.0.0.1:8125 "$@" |
    sed -n 's/^apiVersion: //p; s/^kind: //p' | paste -sd ' ' | grep -o 'admissionregistration.*' || true
}

sidecar_renders() {
  say 'which clusters get the policy'
  local helm on=--set=sidecarInjection.enabled=true beta=admissionregistration.k8s.io/v1beta1 v1=admissionregistration.k8s.io/v1
  both() { echo "$1 MutatingAdmissionPolicy $1 MutatingAdmissionPolicyBinding"; }
  for helm in "$BIN/helm3" "$BIN/helm4"; do
    equal "$(basename "$helm"), 1.36 and later" "$(policy "$helm" $on --kube-version 1.36.0) / $(policy "$helm" $on --kube-version 1.37.2)" "$(both $v1) / $(both $v1)"
    equal 'a vendor version' "$(policy "$helm" $on --kube-version v1.36.1-gke.100)" "$(both $v1)"
    equal '1.34 and 1.35 where it is served' "$(policy "$helm" $on --kube-version 1.35.4 --api-versions $beta/MutatingAdmissionPolicy)" "$(both $beta)"
    equal '1.35 where it is not' "$(policy "$helm" $on --kube-version 1.35.4)" ''
    equal 'older ones' "$(policy "$helm" $on --kube-version 1.29.0)" ''
    equal 'not asked for' "$(policy "$helm" --kube-version 1.37.2)" ''
  done
}
