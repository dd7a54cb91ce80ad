# Two commands do everything on a machine that has only Go, Node and make:
#
#	make demo	build Guia, watch one datum travel from a source to a verified bundle, and a company at work
#	make test	get the tools the tests need, then run every check a change must pass
#
# Neither needs a database, a browser or an account. `make help` lists the rest.

# Versions of the tools are pinned here and not in go.mod: the product's dependency list stays the product's.
GOLANGCI_LINT_VERSION = v2.15.0
GOTESTSUM_VERSION     = v1.13.0

BIN       = $(CURDIR)/.bin
GOLANGCI  = .bin/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOTESTSUM = .bin/gotestsum-$(GOTESTSUM_VERSION)

# How long each fuzz target runs in `make fuzz`.
FUZZTIME = 1m

# The default build has no cgo: one static program, cross-compiled without a C compiler.
export CGO_ENABLED = 0

# The real test data is not in the repository. Without this variable the tests that need it are skipped and say so;
# with CI=true a skipped test is a failed test.
ifeq ($(origin GUIA_TESTDATA),undefined)
ifneq ($(wildcard ../shared/data/.),)
export GUIA_TESTDATA := $(abspath ../shared/data)
endif
endif

export GOLANGCI GOTESTSUM FUZZTIME

.PHONY: help demo build test tools lint fuzz bench soak mutants clean

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 16

demo: build ## build Guia and see it at work; on a terminal until Ctrl-C, in a script it ends by itself
	bin/guia demo

build: ## build bin/guia and bin/guia-verify
	go build -trimpath -o bin/ ./cmd/...

test: tools ## everything a change must pass: vet, format, tests, lint
	@sh make/test.sh

tools: $(GOTESTSUM) $(GOLANGCI) ## get what the tests need; does nothing when all is there
	@sh make/tools.sh

lint: $(GOLANGCI) ## the linters of .golangci.yml alone
	$(GOLANGCI) config verify
	$(GOLANGCI) run ./...

fuzz: ## run each fuzz target for FUZZTIME (1m)
	@sh make/fuzz.sh

bench: ## measure against the peers and write docs/performance.md
	cd bench && go run .

soak: ## the long loops of the tests (GUIA_SOAK=1), hours
	GUIA_SOAK=1 go test -count=1 -shuffle=on -timeout 12h ./...

mutants: ## break each promise on purpose and demand that its test turns red
	go run ./mutants

clean: ## remove what make build and make tools made
	rm -rf bin .bin

# The version is part of the file's name, so that a new version here is a new file to build.
$(GOLANGCI):
	@echo "tools: building golangci-lint $(GOLANGCI_LINT_VERSION) into .bin (once, about two minutes)"
	@GOBIN="$(BIN)" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	@mv .bin/golangci-lint $@

$(GOTESTSUM):
	@echo "tools: building gotestsum $(GOTESTSUM_VERSION) into .bin (once)"
	@GOBIN="$(BIN)" go install gotest.tools/gotestsum@$(GOTESTSUM_VERSION)
	@mv .bin/gotestsum $@
