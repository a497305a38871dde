# shellcheck shell=bash
# Sourced after expose.sh. Owns: what a rollout and a kill lose while datagrams come.
# Always true: the load goes on until the old pod is gone, and what is said to be lost is what was sent less what came.
RATE=20000

# lost   Sets SENT, LOST_A and LOST_B from the round's reports.
lost() {
  SENT=$(of "$WORK/load" sent)
  LOST_A=$((SENT - $(of "$WORK/sink.a" arrived))) LOST_B=$((SENT - $(of "$WORK/sink.b" arrived)))
}

# load_pid ADDRESS   The pid of the load that goes there, as this machine counts, wherever it runs.
load_pid() {
  local pid
  for pid in $(pgrep -x udp-proxy); do
    if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- " load --target=$1 --count="; then echo "$pid"; return 0; fi
  done
  return 1
}

# rollout NAME pod|client [argument…]   Rolls that release under load, then as `lost`.
rollout() {
  local name=$1 from=$2 began old pod load pid; shift 2
  old=$(pods "$name")
  round 10000000 3 150
  background "$WORK/load.log" load_from "$from" "$(address_of "$name")" 2400000 "$RATE"; load=$LAST_PID
  for pod in $old; do background "$WORK/log.$pod" node kubectl logs -n "$name" -f "$pod" --tail=1; done
  sleep 2; began=$SECONDS
  check "$name: helm upgrade --wait" "deploy_$name" --set-string "podAnnotations.rolled=$RANDOM" --wait --timeout 100s "$@"
  check "$name: new pods are Ready and the old are gone" until_ok 60 ready "$name" "$(count_of "$name")"
  check "$name: other pods than before" test "$(pods "$name")" != "$old"
  sleep 2
  pid=$(load_pid "$(address_of "$name")") || true
  check "$name: all of that, in $((SECONDS - began)) s, under load" kill -INT "${pid:-none}"
  wait "$load" || true; ended
  lost
  say "$name: rollout at $RATE/s: sent $SENT, lost $LOST_A and $LOST_B, refused $(of "$WORK/load" errors)"
  for pod in $old; do say "old pod: $(tail -n 1 "$WORK/log.$pod" | grep -o 'received.*')"; done
  for pod in $(pods "$name"); do say "new pod: received $(books "$name" "$pod" received)"; done
}

rollouts() {
  say 'rollouts under load'
  rollout hostnet client
  equal 'hostNetwork loses nothing' "$LOST_A $LOST_B" '0 0'
  rollout service pod
  equal 'a Service of a DaemonSet loses nothing' "$LOST_A $LOST_B" '0 0'
  rollout several pod
  equal 'a Service of a Deployment loses nothing' "$LOST_A $LOST_B" '0 0'
  rollout unix pod
  equal 'a Unix socket loses nothing' "$LOST_A $LOST_B" '0 0'
  # The port is nobody's from the end of the old pod to the start of the new one, and both targets miss the same.
  rollout hostport client
  equal 'hostPort: both targets miss the same' "$LOST_A" "$LOST_B"
  check "hostPort: the gap is shorter than 4 s ($((LOST_A * 1000 / RATE)) ms)" test "$LOST_A" -lt $((4 * RATE))
}
