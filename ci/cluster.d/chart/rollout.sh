# shellcheck shell=bash
# Sourced after expose.sh. Owns: what a rollout and a kill lose while datagrams come.
# Always true: the load goes on until the old pod is gone, and what is said to be lost is what was sent less what came.
RATE=20000

# lost   Sets SENT, LOST_A and LOST_B from the round's reports.
lost() {
  SENT=$(of "$WORK/load" sent)
  LOST_A=$((SENT - $(of "$WORK/sink.a" arrived))) LOST_B=$((SENT - $(of "$WORK/sink.b" arrived)))
}

# rollout NAME pod|client SECONDS [argument…]   Rolls that release under load, then as `lost`.
rollout() {
  local name=$1 from=$2 seconds=$3 count=$((RATE * $3)) began old; shift 3
  old=$(pods "$name")
  round "$count" 6 90
  background "$WORK/load.log" load_from "$from" "$(address_of "$name")" "$count" "$RATE"; local load=$LAST_PID
  local pod; for pod in $old; do background "$WORK/log.$pod" node kubectl logs -n "$name" -f "$pod" --tail=1; done
  sleep 2; began=$SECONDS
  check "$name: helm upgrade --wait" "deploy_$name" --set-string "podAnnotations.rolled=$RANDOM" --wait --timeout 120s "$@"
  check "$name: new pods are Ready and the old are gone" until_ok 60 ready "$name" "$(count_of "$name")"
  check "$name: other pods than before" test "$(pods "$name")" != "$old"
  check "$name: all of that, in $((SECONDS - began)) s, under load" kill -0 "$load"
  wait "$load" || true; ended
  lost
  say "$name: rollout at $RATE/s: sent $SENT of $count, lost $LOST_A and $LOST_B, refused $(of "$WORK/load" errors)"
  for pod in $old; do say "old pod: $(tail -n 1 "$WORK/log.$pod")"; done
  for pod in $(pods "$name"); do say "new pod: received $(books "$name" "$pod" received)"; done
}

rollouts() {
  say 'rollouts under load'
  rollout hostnet client 20
  equal 'hostNetwork loses nothing' "$LOST_A $LOST_B" '0 0'
  rollout service pod 30
  equal 'a Service of a DaemonSet loses nothing' "$LOST_A $LOST_B" '0 0'
  rollout several pod 45
  equal 'a Service of a Deployment loses nothing' "$LOST_A $LOST_B" '0 0'
  rollout unix pod 30
  equal 'a Unix socket loses nothing' "$LOST_A $LOST_B" '0 0'
  rollout hostport client 20
}
