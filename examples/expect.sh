#!/usr/bin/env bash
# expect.sh FILE PROGRAM: runs PROGRAM, which must exit 0 and print exactly the lines of FILE.
# A line of FILE that begins with "~ " is an extended regular expression for the whole line.
# Without FILE only the exit status counts.
set -euo pipefail

expected=$1
program=$2

status=0
output=$("$program") || status=$?
if [ "$status" -ne 0 ]; then
  printf '%s\nexit status %s\n' "$output" "$status"
  exit "$status"
fi
[ -f "$expected" ] || exit 0

mapfile -t want < "$expected"
mapfile -t got < <(printf '%s\n' "$output")
for ((i = 0; i < ${#want[@]} || i < ${#got[@]}; i++)); do
  w=${want[i]-<end of output>}
  g=${got[i]-<end of output>}
  if [ "${w:0:2}" = "~ " ]; then
    [[ $g =~ ^(${w:2})$ ]] && continue
  elif [ "$g" = "$w" ]; then
    continue
  fi
  printf 'line %d\n  expected: %s\n  printed:  %s\nwhole output:\n%s\n' \
    "$((i + 1))" "$w" "$g" "$output"
  exit 1
done
