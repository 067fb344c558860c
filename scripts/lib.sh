# Shared by the scripts: source it, do not run it. Leaves the shell in the repository's root.
#
#   steps_total N              how many steps will follow
#   step NAME TEXT COMMAND...  says "step n of m: TEXT", runs COMMAND with its output in
#                              build/logs/NAME.log; on failure says so, shows the log's end and
#                              names it, and returns COMMAND's status. $step_log is the log.
#   step_say TEXT              announces a step whose output is what the reader wants to see
#   step_show_failure LOG      what a failed step prints; a script may define its own
#   die TEXT...                message on standard error, exit 1
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

step_number=0
steps_count=0
step_log=
step_ticker=

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

steps_total() {
  step_number=0
  steps_count=$1
}

step_show_failure() {
  printf '%s\n' "--- the last lines of $1:"
  tail -n 40 "$1"
}

# On a terminal, a step that takes long shows that it lives.
step_ticker_start() {
  step_ticker=
  [ -t 1 ] || return 0
  (
    trap '' INT
    parent=$$ elapsed=0
    while kill -0 "$parent" 2> /dev/null; do
      sleep 1
      elapsed=$((elapsed + 1))
      printf '\r%s ... %d s ' "$1" "$elapsed"
    done
  ) &
  step_ticker=$!
}

step_ticker_stop() {
  [ -n "$step_ticker" ] || return 0
  kill "$step_ticker" 2> /dev/null || true
  wait "$step_ticker" 2> /dev/null || true
  step_ticker=
  printf '\r'
}
trap step_ticker_stop EXIT

step_say() {
  step_number=$((step_number + 1))
  printf 'step %d of %d: %s\n' "$step_number" "$steps_count" "$1"
}

step() {
  local name=$1 text=$2 status=0 begin=$SECONDS line
  shift 2
  step_number=$((step_number + 1))
  step_log=build/logs/$name.log
  mkdir -p build/logs
  line="step $step_number of $steps_count: $text"
  [ -t 1 ] || printf '%s\n' "$line"
  step_ticker_start "$line"
  "$@" > "$step_log" 2>&1 < /dev/null || status=$?
  step_ticker_stop
  if [ "$status" -eq 0 ]; then
    [ ! -t 1 ] || printf '%s ... done in %d s\n' "$line" $((SECONDS - begin))
  else
    printf '%s ... FAILED after %d s, the whole output is in %s\n' \
      "$line" $((SECONDS - begin)) "$step_log"
    step_show_failure "$step_log"
  fi
  return "$status"
}
