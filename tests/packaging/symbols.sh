#!/usr/bin/env bash
# symbols.sh NM SHARED STATIC: the shared library exports exactly the weft_ symbols (not weft__)
# that the code defines, its soname is libweft.so.0, and even the static library, which cannot
# hide anything, defines no global name outside weft_.
set -euo pipefail

nm=$1 shared=$2 static=$3

names() { awk 'NF >= 3 && $2 ~ /^[A-TV-Z]$/ { sub(/@.*/, "", $3); print $3 }' | sort -u; }

exported=$("$nm" -D --defined-only "$shared" | names)
defined=$("$nm" -g --defined-only "$static" | names)
[ -n "$exported" ] || { echo "the shared library exports nothing"; exit 1; }

status=0
complain() {
  local text=$1 list=$2
  [ -z "$list" ] && return
  printf '%s:\n%s\n' "$text" "$list"
  status=1
}

# Compilers and their sanitizers add names of their own to every object.
ours=$(grep -vE '^(__(asan|tsan|ubsan|odr_asan|sanitizer|sancov|start|stop|x86)|DW\.ref\.|asan\.|tsan\.)' \
  <<< "$defined" || true)
complain "exported, but not part of the interface" \
  "$(grep -E -v '^weft_' <<< "$exported" || true; grep -E '^weft__' <<< "$exported" || true)"
complain "global in the static library, but not named weft_" "$(grep -v '^weft_' <<< "$ours" || true)"
complain "defined, but not exported (declare it between WEFT_BEGIN_DECLS and WEFT_END_DECLS)" \
  "$(comm -13 <(echo "$exported") <(grep '^weft_' <<< "$ours" | grep -v '^weft__'))"

soname=$(objdump -p "$shared" | awk '$1 == "SONAME" { print $2 }')
[ "$soname" = libweft.so.0 ] || { echo "soname is '$soname', not libweft.so.0"; status=1; }
exit "$status"
