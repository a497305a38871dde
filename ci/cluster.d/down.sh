#!/bin/bash
# Takes down what up.sh started, whole or half: processes by pid, then namespaces, control groups and state.
# Keeps $CLUSTER/log. Harmless when nothing is up.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$ROOT/ci/cluster.d/env.sh"

# All that is ours by where it runs: daemons and shims in the hosts' network namespaces, containers in the
# cluster's control group.
groups() { find /sys/fs/cgroup -maxdepth 2 -type d -name "$CGROUP"; }
ours() {
  for ns in $NODE_NS $CLIENT_NS; do [ ! -e /run/netns/$ns ] || ip netns pids $ns; done
  groups | while read -r g; do find "$g" -name cgroup.procs -exec cat {} + 2>/dev/null; done
}
processes_gone() { local left; left=$(ours | sort -u); [ -z "$left" ] || { kill -KILL $left 2>/dev/null; return 1; }; }
groups_gone() { groups | while read -r g; do find "$g" -depth -type d -exec rmdir {} \; 2>/dev/null; done; [ -z "$(groups)" ]; }

# First those that would start others again.
for name in kubelet containerd; do
  pid=$(cat "$CLUSTER/pid/$name" 2>/dev/null) && ours | grep -qx "$pid" && kill -KILL "$pid" || true
done
check "no process is left" until_ok 20 processes_gone
for ns in $NODE_NS $CLIENT_NS; do [ ! -e /run/netns/$ns ] || ip netns del $ns; done
check "no network namespace is left" bash -c "! ip netns list | grep -E '^($NODE_NS|$CLIENT_NS|cni-)'"
check "no control group is left" until_ok 10 groups_gone
check "no mount is left" bash -c "! grep -E ' ($CLUSTER|$STATE|/var/lib/kubelet|/var/lib/cni)' /proc/self/mounts"
if [ -d "$CLUSTER" ]; then find "$CLUSTER" -mindepth 1 -maxdepth 1 ! -name log -exec rm -rf {} +; fi
rmdir /var/lib/kubelet /var/lib/cni 2>/dev/null || true
closing
