#!/bin/bash
# Brings a cluster of one node up, in its own network, mount and control groups; get.sh comes first, down.sh ends it.
# IMAGES (optional): docker-save archives to import, separated by spaces.
images=$(for i in ${IMAGES-}; do realpath "$i"; done)
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$ROOT/ci/cluster.d/env.sh"
[ -x "$BIN/etcd" ] || die "run ci/cluster.d/get.sh first"
[ ! -e "$CLUSTER/pid/node" ] || die "a cluster is up already: ci/cluster.d/down.sh ends it"
begun=$SECONDS
rm -rf "${CLUSTER:?}"; mkdir -p "$CLUSTER"/{conf/cni,log,pid,run,kubelet,proc}
at_exit '[ "${UP-}" ] || tail -n 3 "$CLUSTER"/log/*.log'   # why it did not come up

# start NAME COMMAND…   Starts a daemon on the node that outlives this script: log/NAME.log, pid/NAME.
start() {
  local name=$1; shift
  setsid nsenter -t "$(cat "$CLUSTER/pid/node")" -m -n -- env -C / PATH="$BIN:$PATH" "$@" >"$CLUSTER/log/$name.log" 2>&1 </dev/null &
  echo $! >"$CLUSTER/pid/$name"
}

say "two hosts joined by a cable"
ip netns add $NODE_NS; ip netns add $CLIENT_NS
ip link add kn netns $NODE_NS type veth peer name kc netns $CLIENT_NS
ip -n $NODE_NS addr add $NODE_IP/24 dev kn; ip -n $CLIENT_NS addr add $CLIENT_IP/24 dev kc
for ns in $NODE_NS $CLIENT_NS; do ip -n $ns link set lo up; done
ip -n $NODE_NS link set kn up; ip -n $CLIENT_NS link set kc up
# kubelet wants a default route; the client reaches pods and Services as a router's neighbour would.
ip -n $NODE_NS route add default via $CLIENT_IP
ip -n $CLIENT_NS route add $SERVICE_CIDR via $NODE_IP; ip -n $CLIENT_NS route add $POD_CIDR via $NODE_IP
modprobe -a br_netfilter overlay 2>/dev/null || true   # where they are modules and not built in
nsenter --net=/run/netns/$NODE_NS sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1

# A private view of the filesystem for everything on the node. What the node writes outside $STATE goes to memory
# and is gone with it; the kernel settings kubelet insists on become plain files, for they are the whole machine's.
mkdir -p /var/lib/kubelet /var/lib/cni
if [ -e /sys/fs/cgroup/cgroup.procs ]; then mkdir -p /sys/fs/cgroup/$CGROUP; else for c in /sys/fs/cgroup/*/; do mkdir -p "$c$CGROUP"; done; fi
settings=(vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000)
setsid nsenter --net=/run/netns/$NODE_NS unshare -m --propagation private bash -ec '
  mount --make-rshared /
  for s in "${@:2}"; do f=$1/proc/$(basename "${s%=*}"); echo "${s#*=}" >"$f"; mount --bind "$f" "/proc/sys/${s%=*}"; done
  for d in /run /var/log /var/lib/kubelet /var/lib/cni; do mount -t tmpfs -o mode=755 none $d; done
  mkdir -p /run/netns /run/lock '$STATE'; mount --bind "$1" '$STATE'
  touch "$1/run/ready"; exec sleep 1d' bash "$CLUSTER" "${settings[@]}" >"$CLUSTER/log/node.log" 2>&1 </dev/null &
echo $! >"$CLUSTER/pid/node"
until_ok 10 test -e "$CLUSTER/run/ready"

say "certificates"
cp "$CLUSTER_D"/conf/{containerd.toml,kubelet.yaml,kube-proxy.yaml,Corefile} "$CLUSTER/conf/"; cp "$CLUSTER_D/conf/10-bridge.conflist" "$CLUSTER/conf/cni/"
cd "$CLUSTER/conf"
key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
openssl req -x509 "${key[@]}" -keyout ca.key -out ca.crt -days 30 -subj /CN=kubernetes-ca 2>/dev/null
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out sa.key
openssl pkey -in sa.key -pubout -out sa.pub
# issue NAME SUBJECT [NAMES AND ADDRESSES]   A certificate, and for those who call the API a kubeconfig with it.
issue() {
  openssl req "${key[@]}" -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 30 2>/dev/null \
    -extfile <(printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n%s' "${3:+subjectAltName=$3}")
  local ca cert private; ca=$(base64 -w0 ca.crt) cert=$(base64 -w0 "$1.crt") private=$(base64 -w0 "$1.key")
  cat >"$1.kubeconfig" <<Y
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://$NODE_IP:6443", certificate-authority-data: $ca}}]
users: [{name: $1, user: {client-certificate-data: $cert, client-key-data: $private}}]
contexts: [{name: test, context: {cluster: test, user: $1}}]
current-context: test
Y
}
issue apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1,IP:$NODE_IP"
issue kubelet "/O=system:nodes/CN=system:node:$NODE" "DNS:$NODE,IP:$NODE_IP"
issue admin /O=system:masters/CN=admin
issue cm /CN=system:kube-controller-manager
issue sched /CN=system:kube-scheduler
issue proxy /CN=system:kube-proxy

say "control plane"
C=$STATE/conf E=http://127.0.0.1
start containerd containerd -c $C/containerd.toml
start etcd etcd --data-dir $STATE/etcd --unsafe-no-fsync --listen-client-urls $E:2379 --advertise-client-urls $E:2379 \
  --listen-peer-urls $E:2380 --initial-advertise-peer-urls $E:2380 --initial-cluster default=$E:2380
start apiserver kube-apiserver --advertise-address=$NODE_IP --secure-port=6443 --etcd-servers=$E:2379 --allow-privileged=true \
  --service-cluster-ip-range=$SERVICE_CIDR --kubelet-preferred-address-types=InternalIP \
  --tls-cert-file=$C/apiserver.crt --tls-private-key-file=$C/apiserver.key --client-ca-file=$C/ca.crt \
  --kubelet-client-certificate=$C/admin.crt --kubelet-client-key=$C/admin.key --kubelet-certificate-authority=$C/ca.crt \
  --service-account-key-file=$C/sa.pub --service-account-signing-key-file=$C/sa.key --service-account-issuer=https://kubernetes.default.svc \
  --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction
until_ok 30 node ctr -a $STATE/run/containerd.sock version
for i in "$BIN/pause.tar" $images; do node ctr -a $STATE/run/containerd.sock -n k8s.io images import "$i" >/dev/null; done
until_ok 120 node kubectl get --raw /readyz
start cm kube-controller-manager --{,authentication-,authorization-}kubeconfig=$C/cm.kubeconfig --leader-elect=false --bind-address=127.0.0.1 \
  --service-account-private-key-file=$C/sa.key --root-ca-file=$C/ca.crt --cluster-signing-cert-file=$C/ca.crt --cluster-signing-key-file=$C/ca.key \
  --use-service-account-credentials=true
start sched kube-scheduler --{,authentication-,authorization-}kubeconfig=$C/sched.kubeconfig --leader-elect=false --bind-address=127.0.0.1

say "node"
start kubelet kubelet --config=$C/kubelet.yaml --kubeconfig=$C/kubelet.kubeconfig --root-dir=$STATE/kubelet --hostname-override=$NODE \
  --node-ip=$NODE_IP --cert-dir=$C --v=2
start proxy kube-proxy --config=$C/kube-proxy.yaml --v=2
start dns coredns -conf $C/Corefile
until_ok 120 node kubectl wait --for=condition=Ready node/$NODE --timeout=1s
# Pods are refused until this account is there.
until_ok 60 node kubectl get serviceaccount default
pass "node Ready after $((SECONDS - begun)) s"
check "DNS answers on the node" until_ok 30 node python3 -c "
import socket
question = bytes.fromhex('0001010000010000000000000a6b756265726e657465730764656661756c7403737663') + b'\x07cluster\x05local\0\0\x01\0\x01'
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.sendto(question, ('$DNS_IP', 53))
assert socket.inet_aton('10.96.0.1') in s.recv(512)"
node kubectl get node -o wide
UP=1
closing
