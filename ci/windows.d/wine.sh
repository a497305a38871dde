# shellcheck shell=bash
# A Windows of its own for this run, in $WORK; what is seen there is the text that programs print and what stands in
# the registry and on the disk. Always true: no exit code alone proves anything, Wine may exit 0 having run nothing.
export WINEPREFIX=$WORK/wine WINEDEBUG=-all
# Wine has no event log, recovery actions or delayed start; what is asked of it is in the trace of who asks.
TRACE=$WORK/services.trace
DRIVE=$WINEPREFIX/drive_c

wine_up() {
  at_exit wine_down
  timeout 120 wineboot -i >"$WORK/wineboot.log" 2>&1 || true
  timeout 60 wineserver -w || die 'wineboot did not end'
  # Services end with the last program of a user: cmd waits for a line that never comes.
  mkfifo "$WORK/hold"
  WINEDEBUG=-all,+eventlog,fixme+advapi,fixme+service background "$TRACE" bash -c 'exec wine cmd <"$1"' _ "$WORK/hold"
  exec 8>"$WORK/hold"
  until_ok 60 grep -q Windows "$TRACE" || die 'Wine does not come up'
}
wine_down() {
  exec 8>&-
  wineserver -k 2>/dev/null || true
  timeout 60 wineserver -w || true
}

# win command…   A Windows program's output, its lines ended as Unix does.
win() { timeout 120 wine "$@" 2>&1 | tr -d '\r'; return "${PIPESTATUS[0]}"; }
# msi LOG words…   msiexec, silently; its exit code, its log in $WORK/LOG as plain text.
msi() {
  local log=$WORK/$1 code=0; shift
  timeout 180 wine msiexec "$@" /qn '/l*v' "$(winepath -w "$log.raw")" >"$log.out" 2>&1 || code=$?
  tr -d '\0\r' <"$log.raw" >"$log" 2>/dev/null || :
  return $code
}
path() { winepath -w "$1"; }
# value KEY NAME   A registry value's text, nothing when it is not there.
value() { win reg query "$1" /v "$2" | awk -v n="$2" '$1 == n && /REG_/ {sub(/^.*REG_[A-Z_]+ +/, ""); print}'; }
key() { win reg query "$1" | grep -q '^HKEY'; }
# events   What was reported, one 'ID text' a line.
events() {
  awk '/ReportEventW \(/ {split($0, word, ","); id = substr(word[4], length(word[4]))}
    /eventlog:ReportEventW L"/ {sub(/.*ReportEventW L"/, ""); sub(/"\r?$/, ""); print id, $0}' "$TRACE"
}
event() { until_ok 10 eval "events | grep -q '^$1 .*$2'"; }
service() { win "$PROGRAM" service "$@"; }
state() { service status | sed 's/ (process [0-9]*)//'; }
