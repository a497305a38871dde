#!/bin/bash
# base-image.sh OUT.tar   The root of distroless/static-debian12, from the Debian packages it consists of: what a
# Dockerfile's FROM finds where its registry is out of reach. Import it under the name the Dockerfile uses:
#   docker import -c 'USER 65532' -c 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' OUT.tar NAME
out=$(realpath "${1:?base-image.sh OUT.tar}")
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
root=$WORK/root
mkdir -p "$root"/{var/lib/dpkg/status.d,etc/ssl/certs,home/nonroot,root,tmp} "$WORK/debs"
packages=(base-files ca-certificates tzdata netbase media-types)
fetch() { (cd "$WORK/debs" && apt-get download -q -o APT::Sandbox::User=root "${packages[@]}" >"$WORK/apt.log" 2>&1); }
# The lists of a new machine are empty, those of an old one name files that are gone.
fetch || { apt-get update -q >"$WORK/apt.log" 2>&1 && fetch; } || die "$(tail -n 5 "$WORK/apt.log")"
for deb in "$WORK"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --exclude=./usr/share/doc --exclude=./usr/share/man
  dpkg-deb -f "$deb" >"$root/var/lib/dpkg/status.d/$(dpkg-deb -f "$deb" Package)"
done
find "$root/usr/share/ca-certificates" -name '*.crt' -print0 | sort -z | xargs -0 -I{} sh -c 'cat "{}"; echo' >"$root/etc/ssl/certs/ca-certificates.crt"
printf '%s\n' root:x:0:0:root:/root:/sbin/nologin nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin \
  nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin >"$root/etc/passwd"
printf '%s\n' root:x:0: nobody:x:65534: tty:x:5: staff:x:50: nonroot:x:65532: >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
chmod 1777 "$root/tmp"; chmod 700 "$root/root" "$root/home/nonroot"; chown 65532:65532 "$root/home/nonroot"
tar -C "$root" --numeric-owner --sort=name --mtime=@0 -cf "$out" .
check "base image has certificates and nonroot" sh -c "grep -q BEGIN '$root/etc/ssl/certs/ca-certificates.crt' && tar -tf '$out' ./home/nonroot/ ./etc/passwd"
closing
