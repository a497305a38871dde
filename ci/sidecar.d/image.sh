# shellcheck shell=bash
# Sourced. Makes an archive, as `docker save` writes it, of an image that holds one static program and nothing else,
# with no docker engine.

# scratch_image PROGRAM NAME:TAG ARCHIVE   The program is /udp-proxy and the entry point; user 65532.
scratch_image() {
  local root
  root=$(mktemp -d -p "$WORK")
  cp "$1" "$root/udp-proxy"
  (cd "$root"
    tar --owner=0 --group=0 --numeric-owner --mtime=@0 -cf layer.tar udp-proxy
    printf '{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/udp-proxy"],"User":"65532:65532"},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
      "$(sha256sum <layer.tar | cut -d' ' -f1)" >config.json
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$2" >manifest.json
    tar -cf "$3" manifest.json config.json layer.tar)
}
