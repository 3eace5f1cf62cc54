#!/usr/bin/env bash
# Starts evenkeel for a .vtc, in the directory it runs in.
# usage: lb.sh BINARY PORT [SECTION:LINE...]
#
# A LINE goes to the [listener], to the [pool web], or, as `rest`, to the end of
# the file.  EVENKEEL_VTC_POOL has more lines for every pool.
set -euo pipefail

binary=$1 port=$2
shift 2

# lines SECTION ARGS...: those for it
lines() {
	local section=$1 arg
	shift
	for arg; do
		[ "${arg%%:*}" != "$section" ] || printf '%s\n' "${arg#*:}"
	done
}

{
	printf '[global]\nworkers = 1\ncontrol = %s\n' "$PWD/ctl"
	printf '[listener main]\nbind = 127.0.0.1:%s\n' "$port"
	lines listener "$@"
	printf '[pool web]\n%s\n' "${EVENKEEL_VTC_POOL:-}"
	lines pool "$@"
	lines rest "$@"
} >lb.ini
exec "$binary" -c lb.ini run 2>&1
