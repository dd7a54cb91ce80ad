#!/bin/sh
# fuzz.sh runs every fuzz target of the module for FUZZTIME, one after the other, and stops at the first that fails.
# The failing input is then in testdata/fuzz of that package: commit it with the fix.
set -eu
found=$(grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' --exclude-dir=bench --exclude-dir=node_modules . | sort)
for file in $found; do
	for target in $(sed -n 's/^func \(Fuzz[A-Z][A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "== $(dirname "$file") $target"
		go test "$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-1m}"
	done
done
