# shellcheck shell=bash
# Sourced by every script here. Owns: where the cluster's binaries and state are, its addresses, and how a
# command is run on one of its two hosts.
CLUSTER_D=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${UDP_PROXY_CI_CACHE:-$(cd "$CLUSTER_D/../.." && pwd)/target/ci}
K8S_VERSION=$(sed -n 's|^\s*k8s.io/kubernetes \(v[0-9.]*\).*|\1|p' "$CLUSTER_D/k8s/go.mod")
# Built once for each state of the recipe: change anything in k8s/ and another folder is used.
BIN=$CACHE/kubernetes/$K8S_VERSION-$(cd "$CLUSTER_D/k8s" && sha256sum go.mod go.sum tools.txt pause.c coredns/main.go | sha256sum | cut -c1-12)
CLUSTER=${CLUSTER:-$CACHE/cluster}       # all state of the running cluster; gone after down.sh, but for log/
STATE=/run/k8s                           # the same folder as the node sees it: short enough for socket names
export KUBECONFIG=$CLUSTER/conf/admin.kubeconfig

NODE=node1 NODE_NS=kube-node NODE_IP=10.99.0.1
CLIENT_NS=kube-client CLIENT_IP=10.99.0.2
CGROUP=cluster-test                      # above kubelet's own, so that only this cluster's pods are in it
POD_CIDR=10.244.0.0/24 SERVICE_CIDR=10.96.0.0/16 DNS_IP=$NODE_IP

# node COMMAND…   Runs it on the node: its network, its mounts, kubectl and helm at hand.
node() { nsenter -t "$(cat "$CLUSTER/pid/node")" -m -n -- env -C "$PWD" PATH="$BIN:$PATH" "$@"; }
# client COMMAND…   Runs it on the host beside the node, the one that has no part in the cluster.
client() { nsenter --net=/run/netns/$CLIENT_NS -- "$@"; }
