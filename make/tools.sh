#!/bin/sh
# tools.sh gets the programs that tests call: strace for faults at each system call, and what a stranger would use to
# verify a bundle by hand. It asks nothing, says what it does, and does nothing when all is there.
set -eu

# command:Debian package
wanted='strace:strace openssl:openssl unzip:unzip zip:zip git:git'

missing=
for pair in $wanted; do
	command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0

# by_hand says what a person must install. Tests that miss a program are skipped and say so; in CI a skip is a failure,
# so stop here already.
by_hand() {
	echo "tools: $1; please install by hand:$missing" >&2
	[ "${CI:-}" != true ] || exit 1
	exit 0
}

command -v apt-get >/dev/null 2>&1 || by_hand 'no apt-get on this machine'
if [ "$(id -u)" = 0 ]; then
	sudo=
elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
	sudo=sudo
else
	by_hand 'neither root nor sudo'
fi

install() {
	# shellcheck disable=SC2086 # a list of words on purpose
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing </dev/null
}

echo "tools: apt-get install$missing"
install >/dev/null 2>&1 && exit 0
echo 'tools: that did not work with the package lists of this machine; apt-get update, then once more'
$sudo apt-get update -q </dev/null >/dev/null 2>&1 || true
install || by_hand 'apt-get could not install them'
