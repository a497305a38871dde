#!/bin/bash
# Proves the cluster itself, before anything of the product runs on it: an image is built, the cluster comes up,
# datagrams arrive by every way the chart uses, a policy injects a native sidecar, and nothing stays behind.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$ROOT/ci/cluster.d/env.sh"
here=$ROOT/ci/cluster.d
at_exit '"$here/down.sh" >/dev/null; "$here/docker.sh" down >/dev/null'

check "the parts are there" "$here/get.sh"
check "a docker engine starts" "$here/docker.sh" up
export DOCKER_HOST=unix:///run/cluster-docker.sock docker=/usr/bin/docker   # Debian's; another in PATH may lack BuildKit
command -v go >/dev/null || apt golang-go
mkdir "$WORK/image"; CGO_ENABLED=0 nice -n 19 go build -ldflags=-s -o "$WORK/image/udp" "$here/selftest/udp.go"
printf 'FROM scratch\nCOPY udp /udp\nENTRYPOINT ["/udp"]\n' >"$WORK/image/Dockerfile"
check "an image is built" env DOCKER_BUILDKIT=1 $docker build --network host -t local/udp:1 "$WORK/image"
$docker save local/udp:1 -o "$WORK/images.tar"
check "the docker engine ends" "$here/docker.sh" down

"$here/down.sh" >/dev/null
check "the cluster comes up" env IMAGES="$WORK/images.tar" "$here/up.sh"
kubectl() { node kubectl "$@"; }
udp=$WORK/image/udp

kubectl apply -f "$here/selftest/policy.yaml"
# A policy takes effect some time after it is stored.
injected() { kubectl apply --dry-run=server -f "$here/selftest/objects.yaml" -o jsonpath='{.items[*].spec.initContainers[*].name}' | grep -qx sidecar; }
check "the policy takes effect" until_ok 30 injected
kubectl apply -f "$here/selftest/objects.yaml"
check "pods are Ready" kubectl wait --for=condition=Ready pod --all --timeout=60s
kubectl get pods -o wide

until_ok 20 bash -c "[ \"\$($here/client $udp send $NODE_IP:30900 1)\" = '1 pod' ]" || true   # kube-proxy may be a moment behind
ip=$(kubectl get service echo -o jsonpath='{.spec.clusterIP}')
equal "hostPort" "$(client "$udp" send $NODE_IP:9001 1000)" "1000 pod"
equal "NodePort" "$(client "$udp" send $NODE_IP:30900 1000)" "1000 pod"
equal "ClusterIP" "$(client "$udp" send "$ip:9000" 1000)" "1000 pod"
equal "hostNetwork" "$(client "$udp" send $NODE_IP:9002 1000)" "1000 host"
equal "pod to Service by name" "$(kubectl exec untouched -c app -- /udp send echo.default.svc.cluster.local:9000 1000)" "1000 pod"
equal "application to injected sidecar" "$(kubectl exec injected -c app -- /udp send 127.0.0.1:8125 1000)" "1000 sidecar"
equal "the sidecar is a native one" "$(kubectl get pod injected -o jsonpath='{.spec.initContainers[*].restartPolicy}')" Always
equal "other pods have none" "$(kubectl get pod untouched -o jsonpath='{.spec.initContainers}')" ""
check "pods end" kubectl delete pod --all --timeout=60s
check "the cluster goes down and leaves nothing" "$here/down.sh"
closing
