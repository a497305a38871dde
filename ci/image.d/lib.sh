# shellcheck shell=bash
# Sourced by ci/image after ci/lib.sh. Owns: an engine of our own, the local stand-ins for the images that the
# Dockerfile names, and the build. Always true: the Dockerfile is built as it is, with nothing replaced but what its
# FROM lines find; the engine serves one script at a time and ends with the script that started it.
export DOCKER_HOST=unix:///run/cluster-docker.sock DOCKER_BUILDKIT=1
IMAGE_CACHE=$CACHE/image
RUST=$(rustc -vV | sed -n 's/^release: \([0-9]*\.[0-9]*\).*/\1/p')
# Without the engine's warning at each run that nothing of it is forwarded: its containers have a cable of their own.
docker() { /usr/bin/docker "$@" 2> >(grep -v '^WARNING: ' >&2); }
logged() { "$@" >"$WORK/log" 2>&1 || { tail -n 60 "$WORK/log" >&2; return 1; }; }

# engine_up   Takes the machine's one engine for this script, whatever its cache; waits for others that have it. With an emulator in its PATH, the
# engine runs arm64 programs in builds without a change to the kernel's settings.
engine_up() {
  local emulator=$IMAGE_CACHE/emulator
  apt qemu-user-static
  mkdir -p "$emulator"
  ln -sf /usr/bin/qemu-aarch64-static "$emulator/buildkit-qemu-aarch64"
  exec 7>/run/udp-proxy-ci-docker.lock; flock -w 900 7 || die 'another script has had the docker engine for a quarter of an hour'
  if docker info >/dev/null 2>&1; then return; fi
  at_exit 'logged ci/cluster.d/docker.sh down'
  PATH=$emulator:$PATH logged ci/cluster.d/docker.sh up 7>&- || die 'the docker engine does not start'
}

# stand_in NAME ARCH KEY COMMAND…   Makes an image of the root that COMMAND writes as a tar to its last argument, unless it was
# made from the same KEY; the array CONFIG has further lines of its Dockerfile. (docker import knows no architecture.)
stand_in() {
  local name=$1 arch=$2 key=$3 context=$WORK/context; shift 3
  [ "$(docker image inspect -f '{{index .Config.Labels "key"}}' "$name" 2>/dev/null)" = "$key" ] && return 0
  say "a local $name for $arch"
  mkdir -p "$context"
  logged "$@" "$context/root.tar" || return
  printf '%s\n' 'FROM scratch' 'ADD root.tar /' "LABEL key=$key" "${CONFIG[@]}" >"$context/Dockerfile"
  logged docker build --platform "linux/$arch" -t "$name" "$context" || return
  rm -r "$context"
}

# bases ARCH   The two images that the Dockerfile starts from; $BASE_NAME is the second.
bases() {
  local key std CONFIG
  std=$(ci/rust-target x86_64-unknown-linux-musl; ci/rust-target aarch64-unknown-linux-musl)
  key=$( (rustc -vV; echo "$std"; cat ci/image.d/{builder-root,lib.sh}) | sha256sum | cut -c1-12)
  CONFIG=('ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo'
    'ENV PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
  stand_in "rust:$RUST-slim-bookworm" amd64 "$key" ci/image.d/builder-root || return
  key=$(cat ci/cluster.d/base-image.sh ci/image.d/lib.sh | sha256sum | cut -c1-12)
  CONFIG=('USER 65532' 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' 'WORKDIR /home/nonroot')
  # An engine keeps a name for one architecture only: the second needs a name of its own.
  BASE_NAME=gcr.io/distroless/static-debian12:nonroot
  [ "$1" = amd64 ] || BASE_NAME=udp-proxy-ci/static:$1
  stand_in "$BASE_NAME" "$1" "$key" ci/cluster.d/base-image.sh
}

# build_image ARCH TAG [build option…]   Builds the Dockerfile as a user does.
build_image() {
  local arch=$1 tag=$2 base=(); shift 2
  bases "$arch" || return
  [ "$arch" = amd64 ] || base=(--build-arg "BASE=$BASE_NAME")
  logged docker build --network host --platform "linux/$arch" --build-arg "RUST=$RUST" ${base[@]+"${base[@]}"} \
    --build-arg "VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)" \
    --build-arg "UDP_PROXY_COMMIT=$(ci/image.d/commit)" --build-arg "CREATED=$(git log -1 --format=%cI 2>/dev/null)" \
    --progress plain -t "$tag" "$@" .
}

# binary_of IMAGE FILE   Copies the program out of an image.
binary_of() {
  local container
  container=$(docker create "$1")
  docker cp "$container:/udp-proxy" "$2" >/dev/null
  docker rm "$container" >/dev/null
}
