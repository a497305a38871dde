# The image: one static binary on distroless/static, for linux/amd64 and linux/arm64.
#   docker build -t udp-proxy .
#   docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/udp-proxy:VERSION --push .
# docs/docker.md says how to run it, docs/release.md how a release is made.
# Always true: the compiler runs on the building machine, whatever it builds for; the same sources, compiler and
# UDP_PROXY_COMMIT give the same binary.
ARG RUST=1.95
ARG BASE=gcr.io/distroless/static-debian12:nonroot
# sha256:… holds the base to one state of it.
ARG BASE_DIGEST=

FROM --platform=$BUILDPLATFORM rust:${RUST}-slim-bookworm AS build
# The linker that comes with the compiler, for both: no C compiler for the other architecture is needed.
ENV CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
WORKDIR /src
COPY . .
ARG TARGETARCH
# What --version says: there is no git in here.
ARG UDP_PROXY_COMMIT=
# The compiler's own paths are mapped away, or a panic's place would say where cargo keeps its crates.
RUN --mount=type=cache,id=udp-proxy-crates,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=udp-proxy-target,target=/src/target,sharing=locked \
    set -eu; \
    case $TARGETARCH in \
      amd64) target=x86_64-unknown-linux-musl ;; \
      arm64) target=aarch64-unknown-linux-musl ;; \
      *) echo "TARGETARCH=$TARGETARCH: amd64 and arm64 are built"; exit 1 ;; \
    esac; \
    [ -e "$(rustc --print target-libdir --target "$target")" ] || rustup target add "$target"; \
    cargo fetch --locked --target "$target"; \
    for dir in /usr/local/cargo/registry/src/*; do \
      RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$dir=/crates"; \
    done; \
    export RUSTFLAGS UDP_PROXY_COMMIT; \
    cargo build --release --locked --target "$target"; \
    mkdir /out; \
    cp "target/$target/release/udp-proxy" /out/

# The binary alone: docker build --target binary --output DIR .
FROM scratch AS binary
COPY --from=build /out/udp-proxy /udp-proxy

FROM ${BASE}${BASE_DIGEST:+@$BASE_DIGEST}
COPY --from=build --chmod=0555 /out/udp-proxy /udp-proxy
# It runs on this base and architecture, or there is no image.
RUN ["/udp-proxy", "--version"]
USER 65532:65532
EXPOSE 2203/udp
# Asks the address in UDP_PROXY_ADMIN, 127.0.0.1:2204 without it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/udp-proxy", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/udp-proxy"]
ARG VERSION=
ARG UDP_PROXY_COMMIT=
ARG CREATED=
LABEL org.opencontainers.image.title="udp-proxy" \
      org.opencontainers.image.description="Receives every StatsD datagram once and sends it to every target" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${UDP_PROXY_COMMIT}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="gcr.io/distroless/static-debian12:nonroot"
