# shellcheck shell=bash
# One machine's life with the MSI: refused, installed, used, repaired, upgraded, broken, uninstalled.
PROGRAM='C:\Program Files\udp-proxy\udp-proxy.exe'
SETTINGS='HKLM\SOFTWARE\udp-proxy'
SERVICE='HKLM\SYSTEM\CurrentControlSet\Services\udp-proxy'
SOURCE_KEY='HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application\udp-proxy'

setting() { value "$SETTINGS" "$1"; }
account() { value "$SERVICE" ObjectName; }
status() { curl -sf -m 10 "http://127.0.0.1:$ADMIN_PORT/status"; }
# asked EXPRESSION   Of the /status document, as Python sees it: d.
asked() { status | python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }
products() { win reg query 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall' /s | grep -c 'DisplayName *REG_SZ *udp-proxy$' || true; }
version() { win reg query 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall' /s | awk '/DisplayName +REG_SZ +udp-proxy$/ {on = 1} on && $1 == "DisplayVersion" {print $3; exit}'; }

# same 'what' NOW BEFORE   As equal, for texts of many lines.
same() { check "$1" diff <(echo "$3") <(echo "$2"); }

# left   What of the product is on the machine, logs aside.
left() {
  local what
  for what in "$SETTINGS" "$SERVICE" "$SOURCE_KEY"; do if key "$what"; then echo "key $what"; fi; done
  find "$DRIVE/Program Files" -ipath '*udp-proxy*'
  [ "$(products)" = 0 ] || echo 'an entry among the programs'
}
# everything   The settings, the service and the version, to see that nothing has changed.
everything() { win reg query "$SETTINGS"; win reg query "$SERVICE"; version; }

msi_refuses_what_cannot_work() {
  say 'settings that cannot work'
  if msi none.log /i "$(path "$MSI")"; then fail 'no targets: msiexec says it is installed'; else pass 'no targets: refused'; fi
  if msi wrong.log /i "$(path "$MSI")" TARGETS=nonsense; then fail 'a target without a port: msiexec says it is installed'; else pass "a target without a port: refused"; fi
  check 'the log names the check' grep -q CheckSettings "$WORK/wrong.log"
  equal 'nothing of it is on the machine' "$(left)" ''
}

msi_installs() {
  say 'silent installation'
  EVENTS_BEFORE=$(events | grep -c '^1 ')
  check 'msiexec' msi install.log /i "$(path "$MSI")" TARGETS="a=127.0.0.1:$A_PORT b=127.0.0.1:$B_PORT" SOURCE="127.0.0.1:$SOURCE_PORT" ADMIN="127.0.0.1:$ADMIN_PORT"
  equal 'the service is' "$(state)" running
  equal 'what it starts' "$(value "$SERVICE" ImagePath)" "\"$PROGRAM\" service run"
  equal 'its account' "$(account)" 'NT SERVICE\udp-proxy'
  equal 'it starts with the system' "$(value "$SERVICE" Start)" 0x2
  equal 'the stored targets' "$(setting Targets)" "a=127.0.0.1:$A_PORT b=127.0.0.1:$B_PORT"
  equal 'the event source' "$(value "$SOURCE_KEY" EventMessageFile)" "$PROGRAM"
  equal 'the version among the programs' "$(version)" "$VERSION"
  check 'event 1: it serves' event 1 serves
  check 'recovery actions are asked for' grep -q 'SERVICE_CONFIG_FAILURE_ACTIONS not implemented: period 86400' "$TRACE"
  check 'so is delayed start' grep -q 'ChangeServiceConfig2W level 3 not implemented' "$TRACE"
  check 'and recovery from exit codes' grep -q 'ChangeServiceConfig2W level 4 not implemented' "$TRACE"
  check 'it runs what was built' cmp "$LEGACY64" "$DRIVE/Program Files/udp-proxy/udp-proxy.exe"
  check 'the log of msiexec tells of the service' grep -q 'InstallServices' "$WORK/install.log"
}

traffic_arrives() {
  say '10,000 datagrams to two targets'
  local sinks=() port pid
  for port in "$A_PORT" "$B_PORT"; do
    background "$WORK/sink.$port" "$NATIVE" sink --source "127.0.0.1:$port" --expect 10000 --duration 60s --json
    sinks+=("$LAST_PID")
    until_ok 10 udp_listens "$port" || die 'no sink'
  done
  check 'sent' "$NATIVE" load --target "127.0.0.1:$SOURCE_PORT" --count 10000 --rate 4k --duration 30s
  for pid in "${sinks[@]}"; do check 'a sink has its 10,000, each once' wait "$pid"; done
  equal 'the books: received' "$(asked "d['books']['received']")" 10000
  equal 'the books: sent, queued, discarded, dropped, balanced' \
    "$(asked "*(d['books'][k] for k in ('sent', 'queued', 'discarded', 'dropped', 'balanced'))")" '20000 0 0 0 True'
  equal 'the books: sent to each target' "$(asked "*(t['sent'] for t in d['targets'])")" '10000 10000'
}

log_file() { find "$DRIVE" -name udp-proxy.log -path '*udp-proxy/log/*' | head -n 1; }

service_restarts() {
  say 'stop and start'
  equal 'stopped by the service manager' "$(service stop)" stopped
  check 'event 2 has the books' event 2 10000
  check 'started again' grep -q '^running' <<<"$(service start)"
  check 'it answers' until_ok 10 status
  equal 'events of a start' "$(events | grep -c '^1 ')" $((EVENTS_BEFORE + 2))
}

msi_repairs() {
  say 'msiexec /i of the same version with new properties'
  check 'a third target' msi repair.log /i "$(path "$MSI")" TARGETS="a=127.0.0.1:$A_PORT b=127.0.0.1:$B_PORT c=[::1]:$B_PORT"
  equal 'the service is' "$(state)" running
  equal 'it sends to' "$(asked "' '.join(d['config']['targets'])")" "a=127.0.0.1:$A_PORT b=127.0.0.1:$B_PORT c=[::1]:$B_PORT"
  equal 'the source is kept' "$(setting Source)" "127.0.0.1:$SOURCE_PORT"
  equal 'one product' "$(products)" 1
  check 'another account, and flags without a name of their own' msi account.log /i "$(path "$MSI")" \
    'SERVICE_ACCOUNT=NT AUTHORITY\LocalService' 'EXTRA_FLAGS=--shutdown-delay 1s'
  equal 'its account' "$(account)" 'NT AUTHORITY\LocalService'
  equal 'the flag is in force' "$(asked "d['config']['shutdown_delay']")" 1s
  rm -f "$DRIVE/Program Files/udp-proxy/LICENSE.txt"
  check 'again with no properties' msi same.log /i "$(path "$MSI")"
  check 'a lost file is back' test -s "$DRIVE/Program Files/udp-proxy/LICENSE.txt"
  equal 'the service is' "$(state)" running
}

# With the client that Datadog's own users have, as a process of its own. What Wine cannot show is in docs/windows.md.
pipe_arrives() {
  say 'a named pipe: 2,000 lines of datadog-go to two targets'
  local pipe='\\.\pipe\udp-proxy-ci' client=$WORK/pipe_client.exe port sinks=()
  check 'datadog-go is built' eval "(cd ci/windows.d/pipe_client && GOOS=windows GOARCH=amd64 GOFLAGS=-mod=readonly /usr/lib/go-1.19/bin/go build -o '$client' .)"
  check 'msiexec with a pipe beside the port' msi pipe.log /i "$(path "$MSI")" "SOURCE=127.0.0.1:$SOURCE_PORT $pipe"
  equal 'it receives on' "$(asked "' '.join(l['address'] for l in d['listeners'])")" "127.0.0.1:$SOURCE_PORT $pipe"
  for port in "$A_PORT" "$B_PORT"; do
    background "$WORK/lines.$port" python3 ci/windows.d/lines.py "$port" 2000
    sinks+=("$LAST_PID")
    until_ok 10 udp_listens "$port" || die 'no sink'
  done
  check 'the client has sent them' grep -qx 'sent 2000' <<<"$(win "$client" "$pipe" 2000)"
  for port in "$A_PORT" "$B_PORT"; do
    wait "${sinks[0]}" || true
    sinks=("${sinks[@]:1}")
    equal 'a sink has' "$(cat "$WORK/lines.$port")" '2000 lines, 2000 different, in order'
  done
  equal 'the books: received, by port and pipe' "$(asked "*(l['received'] for l in d['listeners'])")" '0 2000'
  equal 'the books: balanced' "$(asked "d['books']['balanced']")" True
}

msi_upgrades() {
  say "upgrade from $VERSION to $NEWER_VERSION"
  local before
  before=$(win reg query "$SETTINGS")
  check 'msiexec, with no properties' msi upgrade.log /i "$(path "$NEWER_MSI")"
  equal 'the version among the programs' "$(version)" "$NEWER_VERSION"
  equal 'one product' "$(products)" 1
  same 'the settings are kept' "$(win reg query "$SETTINGS")" "$before"
  equal 'the account is kept' "$(account)" 'NT AUTHORITY\LocalService'
  equal 'the service is' "$(state)" running
  equal 'it sends to as many targets' "$(asked "len(d['config']['targets'])")" 3
  before=$(everything)
  if msi downgrade.log /i "$(path "$MSI")"; then fail 'a downgrade is refused'; else pass 'a downgrade is refused'; fi
  same 'nothing has changed' "$(everything)" "$before"
  if msi worse.log /i "$(path "$NEWER_MSI")" LOG_LEVEL=loud; then fail 'a wrong value in a repair is refused'; else pass 'a wrong value in a repair is refused'; fi
  same 'nothing has changed' "$(everything)" "$before"
  equal 'and the service is' "$(state)" running
}

bad_configuration_stops() {
  say 'a configuration that cannot work, behind the back of the MSI'
  local good
  good=$(setting Targets)
  service stop >/dev/null
  win reg add "$SETTINGS" /v Targets /d nonsense /f >/dev/null
  check 'start says how it ended' grep -q 'exit code 2' <<<"$(service start)"
  equal 'the service is' "$(state)" 'stopped (exit code 2)'
  check 'event 3 names the flag' event 3 '--target: .nonsense'
  check 'so does the log file' grep -q "ERROR.*--target: 'nonsense'" "$(log_file)"
  check 'msiexec with a good value' msi mended.log /i "$(path "$NEWER_MSI")" TARGETS="$good"
  equal 'the service is' "$(state)" running
  service stop >/dev/null
  background "$WORK/thief" "$NATIVE" sink --source "127.0.0.1:$SOURCE_PORT"
  local thief=$LAST_PID
  until_ok 10 udp_listens "$SOURCE_PORT" || die 'no thief'
  check 'a port in use: start says how it ended' grep -q 'exit code 1' <<<"$(service start)"
  equal 'the service is' "$(state)" 'stopped (exit code 1)'
  check 'event 5 names the port' event 5 "$SOURCE_PORT"
  stop "$thief"
  check 'started again' grep -q '^running' <<<"$(service start)"
}

msi_uninstalls() {
  say 'uninstallation'
  # Wine gives services another ProgramData than msiexec has: the log stands where Windows would have it as well.
  local logs="$DRIVE/ProgramData/udp-proxy/log"
  mkdir -p "$logs"
  cp "$(log_file)" "$logs/udp-proxy.log"
  cp "$(log_file)" "$logs/udp-proxy.1.log"
  check 'msiexec /x' msi uninstall.log /x "$(path "$NEWER_MSI")"
  equal 'nothing is left' "$(left)" ''
  check 'the logs are' test -s "$logs/udp-proxy.log"
  check 'nothing listens any more' bash -c '! curl -s -m 2 "http://127.0.0.1:$1/" ' _ "$ADMIN_PORT"
  check 'again, without starting it, into another directory' msi again.log /i "$(path "$MSI")" START_SERVICE=0 TARGETS="127.0.0.1:$A_PORT" 'INSTALLDIR=C:\The Relay'
  PROGRAM='C:\The Relay\udp-proxy.exe'
  equal 'the service is' "$(state)" 'stopped (never started)'
  equal 'what it starts' "$(value "$SERVICE" ImagePath)" '"C:\The Relay\udp-proxy.exe" service run'
  equal 'its account is the default again' "$(account)" 'NT SERVICE\udp-proxy'
  check 'an upgrade' msi elsewhere.log /i "$(path "$NEWER_MSI")" START_SERVICE=0
  equal 'it stays in its directory' "$(value "$SERVICE" ImagePath)" '"C:\The Relay\udp-proxy.exe" service run'
  check 'msiexec /x PURGE=1' msi purge.log /x "$(path "$NEWER_MSI")" PURGE=1
  equal 'nothing is left' "$(left)" ''
  check 'nor of the directory' test ! -e "$DRIVE/The Relay"
  check 'nor of the logs' test ! -e "$DRIVE/ProgramData/udp-proxy"
}
