# shellcheck shell=bash
# Sourced by every script under ci/. Owns: where caches live, how a check is counted, how a script ends.
# Always true: what a script started is ended by its pid, and its last line is 'N passed, N failed'.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
CACHE=${UDP_PROXY_CI_CACHE:-$ROOT/target/ci}   # downloads and built tools; may be deleted at any time
WORK=$(mktemp -d)                              # this run's files; deleted at the end
mkdir -p "$CACHE"
PASSED=0 FAILED=0 SKIPPED=0 PIDS=() AT_EXIT=()

say() { printf '== %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
pass() { PASSED=$((PASSED + 1)); printf 'ok   %s\n' "$*"; }
fail() { FAILED=$((FAILED + 1)); printf 'FAIL %s\n' "$*" >&2; }
skip() { SKIPPED=$((SKIPPED + 1)); printf 'skip %s\n' "$*"; }

# check 'what is claimed' command args…   The claim passes when the command succeeds; its output shows on failure.
check() {
  local what=$1 out=$WORK/check.out; shift
  if "$@" >"$out" 2>&1; then pass "$what"; else fail "$what"; sed 's/^/     | /' "$out" | tail -n 40 >&2; fi
}

# equal 'what is claimed' actual expected
equal() { if [ "$2" = "$3" ]; then pass "$1 ($2)"; else fail "$1: found '$2', expected '$3'"; fi; }

# until_ok SECONDS command args…   Waits for a fact, with a deadline.
until_ok() {
  local deadline=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || { echo "gave up waiting for: $*" >&2; return 1; }
    sleep 0.1
  done
}

# background LOG command args…   Starts a process that the end of the script will stop; its pid is in $LAST_PID.
background() { local log=$1; shift; "$@" >"$log" 2>&1 </dev/null & LAST_PID=$!; PIDS+=("$LAST_PID"); }

# stop PID [SIGNAL]   Ends a background process and waits for it (10 s, then SIGKILL).
stop() {
  kill "-${2:-TERM}" "$1" 2>/dev/null || true
  for _ in $(seq 100); do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

# at_exit 'shell code'   Runs when the script ends, last registered first.
at_exit() { AT_EXIT=("$1" ${AT_EXIT[@]+"${AT_EXIT[@]}"}); }

# apt package…   Installs Debian packages that are missing.
apt() {
  local missing=()
  for p in "$@"; do dpkg -s "$p" 2>/dev/null | grep -q '^Status: install ok installed' || missing+=("$p"); done
  [ ${#missing[@]} -eq 0 ] && return 0
  [ "$(id -u)" = 0 ] || die "these Debian packages are needed: ${missing[*]} (run as root, or install them)"
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"; } \
    >"$CACHE/apt.log" 2>&1 || { tail -n 20 "$CACHE/apt.log" >&2; die "apt-get install ${missing[*]} failed"; }
}

# closing   The script's last line and exit code.
closing() {
  trap - EXIT; cleanup
  [ "$SKIPPED" -eq 0 ] || echo "$SKIPPED skipped (each said so above)"
  echo "$PASSED passed, $FAILED failed"
  [ "$FAILED" -eq 0 ] && [ "$PASSED" -gt 0 ]
}

cleanup() {
  local code pid
  for code in ${AT_EXIT[@]+"${AT_EXIT[@]}"}; do eval "$code" || true; done
  for pid in ${PIDS[@]+"${PIDS[@]}"}; do stop "$pid"; done
  rm -rf "$WORK"
}
trap 'code=$?; cleanup; echo "$PASSED passed, $((FAILED + 1)) failed (ended early, exit $code)"; exit 1' EXIT
