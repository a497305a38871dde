#!/bin/bash
# docker.sh up|down   A docker engine for building images where none runs: no bridge, no firewall rules, its mounts private.
#   export DOCKER_HOST=unix:///run/cluster-docker.sock
#   /usr/bin/docker build --network host …; /usr/bin/docker save NAME… -o images.tar
# Where an engine runs already, do not start this one: `docker info` tells.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$ROOT/ci/cluster.d/env.sh"
state=$CACHE/docker socket=/run/cluster-docker.sock

case ${1-} in
up)
  apt docker.io containerd runc
  mkdir -p "$state"
  if DOCKER_HOST=unix://$socket /usr/bin/docker info >/dev/null 2>&1; then pass "docker is up already"; closing; exit; fi
  # What the engine writes elsewhere goes to memory and is gone with it, and nobody's settings for another engine count.
  mkdir -p /etc/docker
  setsid unshare -m --propagation private bash -c 'for d in /etc/docker /opt; do mount -t tmpfs none $d; done; exec "$@"' bash \
    dockerd --data-root "$state/data" --exec-root /run/cluster-docker -p "$state/pid" -H unix://$socket \
    --iptables=false --ip6tables=false --bridge=none --ip-forward=false --ip-masq=false >"$state/log" 2>&1 </dev/null &
  check "docker answers" until_ok 30 env DOCKER_HOST=unix://$socket /usr/bin/docker info
  ;;
down)
  # The images and the build cache stay, for the next run.
  if pid=$(cat "$state/pid" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
    kill "$pid"
    ended() { [ ! -e "/proc/$pid" ]; }
    check "docker has ended" until_ok 30 ended
  else pass "docker is not up"; fi
  rm -rf "$socket" /run/cluster-docker "$state/pid"
  rmdir /etc/docker /run/docker/plugins /run/docker 2>/dev/null || true
  ;;
*) die "docker.sh up|down" ;;
esac
closing
