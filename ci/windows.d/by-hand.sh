# shellcheck shell=bash
# What needs no MSI: the program from a console, and `udp-proxy service`.

# udp_listens PORT   Whether a UDP socket has it.
udp_listens() { ss -Hlun "sport = :$1" | grep -q .; }

console_drains() {
  say 'from a console'
  local proxy code=0
  background "$WORK/console" wine "$LEGACY64" --source "127.0.0.1:$SOURCE_PORT" --admin off --target "a=127.0.0.1:$A_PORT"
  proxy=$LAST_PID
  check 'it serves' until_ok 20 udp_listens "$SOURCE_PORT"
  background "$WORK/console.sink" "$NATIVE" sink --source "127.0.0.1:$A_PORT" --expect 100 --duration 30s --json
  check 'sent' "$NATIVE" load --target "127.0.0.1:$SOURCE_PORT" --count 100 --rate 1k --duration 10s
  check 'a sink has its 100' wait "$LAST_PID"
  kill -INT "$proxy" # Wine makes a Ctrl-C of it
  wait "$proxy" || code=$?
  equal 'Ctrl-C: exit code' "$code" 0
  check 'Ctrl-C: drained, with its books' grep -q 'ended: received=100 targets=1 sent=100 .*balanced=true' "$WORK/console"
}

service_by_hand() {
  say 'udp-proxy service, by hand'
  local PROGRAM log one pid
  PROGRAM=$(path "$LEGACY64")
  check 'nothing is installed' grep -q 'it is not installed' <<<"$(service status)"
  check 'install' grep -qF 'installed as NT SERVICE\udp-proxy' <<<"$(service install --source "127.0.0.1:$SOURCE_PORT" \
    --targets "a=127.0.0.1:$A_PORT gone=nowhere.invalid:9" --admin "127.0.0.1:$ADMIN_PORT" --extra-flags='--shutdown-delay 3s')"
  equal 'the service is' "$(state)" 'stopped (never started)'
  equal 'what it starts' "$(value "$SERVICE" ImagePath | tr -d '"')" "$PROGRAM service run"
  equal 'its account' "$(account)" 'NT SERVICE\udp-proxy'
  equal 'its description' "$(value "$SERVICE" Description)" \
    'Receives every StatsD/DogStatsD datagram once and sends it to every target, and never loses one in silence.'
  equal 'the stored flags' "$(setting ExtraFlags)" '--shutdown-delay 3s'
  equal 'the event source' "$(value "$SOURCE_KEY" EventMessageFile)" "$PROGRAM"
  check 'a second one is refused' grep -q 'installed already' <<<"$(service install --targets h:1)"
  check 'start' grep -q '^running (process' <<<"$(service start)"
  check 'a second start is refused' grep -q 'it is running already' <<<"$(service start)"
  check 'sent' "$NATIVE" load --target "127.0.0.1:$SOURCE_PORT" --count 100 --rate 1k --duration 10s
  check 'event 4: a target without an address loses datagrams' until_ok 30 eval "events | grep -q '^4 target gone: .*dropped'"
  service stop >"$WORK/stop" & pid=$!
  check 'it is draining as long as the delay lasts' until_ok 5 eval 'grep -q ^draining <<<"$(service status)"'
  wait "$pid" || true
  equal 'stop waits for the end' "$(cat "$WORK/stop")" stopped
  check 'a second stop is refused' grep -q 'it is not running' <<<"$(service stop)"

  log=$(log_file) one=${log%.log}.1.log
  truncate -s 10000000 "$log"
  check 'started with a full log' grep -q '^running' <<<"$(service start)"
  check 'the full log has moved on' test "$(stat -c %s "$one")" = 10000000
  check 'and a new one is written' grep -q ' ready ' "$log"
  rm "$one"

  check 'uninstall, while it runs' grep -q '^uninstalled' <<<"$(service uninstall)"
  equal 'nothing is left' "$(left)" ''
  check 'the log is' test -s "$log"
}
