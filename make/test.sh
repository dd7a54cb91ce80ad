#!/bin/sh
# test.sh runs every check a change must pass and ends with the summary of the tests, whatever happened before it.
# All steps run even when one is red: the reader sees everything that is wrong at once.
set -u
mkdir -p .bin
log=.bin/test.log
red=

# step NAME COMMAND...: run it, remember when it is red.
step() {
	name=$1
	shift
	echo "== $name"
	"$@" || red="$red, $name"
}

# formatted fails when gofmt would change a file of ours.
formatted() {
	bad=$(gofmt -l $(find . \( -name node_modules -o -name .git -o -name .bin \) -prune -o -name '*.go' -print)) || return 1
	[ -z "$bad" ] || { echo "gofmt would change:"; echo "$bad"; return 1; }
}

# tests keeps a copy of what go test said, with each skipped test and its reason listed after the packages.
# The result is carried around the pipe in a file, because sh has no PIPESTATUS.
tests() {
	{
		"$GOTESTSUM" --format standard-quiet -- -timeout 20m ./... 2>&1
		echo $? >.bin/test.status
	} | tee "$log"
	return "$(cat .bin/test.status)"
}

# nothing_skipped lists the tests that were skipped for another reason than being long: on the build machine each is a
# failure, also where the test itself forgot to say so.
nothing_skipped() {
	awk '/^=== SKIP: / { name = $0; getline why; if (why !~ /GUIA_SOAK/) { print name; print why; bad = 1 } }
		END { exit bad }' "$log"
}

# other_systems: what is for one system only is still right on the others. Seconds, once their standard library is compiled.
other_systems() { for os in darwin freebsd windows; do GOOS=$os go vet ./... || return 1; done; }

# bench is a module of its own with the peers' dependencies: it must compile, it is not run here.
bench_compiles() { (cd bench && go vet ./...); }

# strangers read what we export with tools that nobody here wrote; a module of its own, for their dependencies' sake.
strangers() { (cd archive/stranger && go vet ./... && go test ./...); }

# sdks: DingTalk's own SDKs read the simulated tenant that the tests of the connector go by; a module of its own, for the SDKs are
# large. Compiled once in half a minute (35 CPU-seconds, 340 MB of build cache), it runs in a second.
sdks() { (cd dingtalktest/sdkcheck && go vet ./... && go test ./...); }

[ -n "${GUIA_TESTDATA:-}" ] ||
	echo 'note: GUIA_TESTDATA is not set and ../shared/data is not there: tests on real data will be skipped' >&2

step vet go vet ./...
step 'other systems' other_systems
step gofmt formatted
step test tests
[ "${CI:-}" != true ] || step 'nothing skipped' nothing_skipped
[ ! -e bench/go.mod ] || step 'bench compiles' bench_compiles
step strangers strangers
step 'official SDKs' sdks
step 'lint config' "$GOLANGCI" config verify
step lint "$GOLANGCI" run ./...

echo '== packages'
grep -E '^(ok|FAIL|---|\?|panic:)[[:space:]]' "$log"
grep -E '^DONE' "$log"
if [ -n "$red" ]; then
	echo "RED: ${red#, }"
	exit 1
fi
echo 'GREEN: vet, other systems, gofmt, test, strangers, official SDKs, lint'
