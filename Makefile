# Emrys: everything is built from source with Go, gcc and make.

SHELL      := /bin/bash
BIN        := bin
CACHE      := .cache
TOOLS      := $(CACHE)/tools
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOFLAGS_X  := -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
EMRYS_HOME ?= $(CURDIR)/.emrys
FUZZTIME   ?= 10s
export EMRYS_HOME

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build our four programs into bin/
	@mkdir -p $(BIN)
	go build $(GOFLAGS_X) -o $(BIN)/ ./cmd/...

.PHONY: daemons
daemons: build ## build Fabric, Fabric CA and Kubo (a few minutes, once)
	$(BIN)/emrysctl daemons

.PHONY: up
up: build ## start the consortium on this machine; run again to resume
	$(BIN)/emrysctl up

.PHONY: down
down: ## stop every process that up started, and no other
	$(BIN)/emrysctl down

.PHONY: status
status: ## every process: address, pid, health, height, version
	$(BIN)/emrysctl status

.PHONY: demo
demo: build ## start the network if needed and share a record across it (FILE=path for your own)
	$(BIN)/emrysctl up
	$(BIN)/emrysctl demo $(if $(FILE),--file "$(FILE)")

.PHONY: check
check: build vet lint unit ## build, vet, lint and unit tests: the inner loop

.PHONY: vet
vet:
	go vet ./...
	go vet -tags e2e ./network/e2e/...

$(TOOLS)/golangci-lint: .tools/lint/go.mod .tools/lint/go.sum
	@mkdir -p $(TOOLS)
	cd .tools/lint && go build -trimpath -ldflags "-s -w" -o $(CURDIR)/$(TOOLS)/ tool
	@touch $@

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## the linter, with the rules of who may import whom
	$(TOOLS)/golangci-lint run ./...

.PHONY: unit
unit: ## unit tests
	go test -short ./...

.PHONY: race
race: ## unit tests, the long ones too, under the race detector
	go test -race ./...

.PHONY: e2e
e2e: daemons ## end-to-end tests on a real network of their own
	go test -tags e2e -count=1 -timeout 40m ./network/e2e/...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (default 10s)
	FUZZTIME=$(FUZZTIME) .tools/fuzz ./...

.PHONY: test
test: check race e2e ## everything that must be green

.PHONY: bench
bench: daemons ## the network beside bare Fabric and bare IPFS, in one run
	$(BIN)/emrysctl up
	go test -tags e2e -run '^$$' -bench . -benchtime 1x -timeout 60m ./network/bench/...

.PHONY: generate
generate: build ## render docker-compose.yaml and golden files again
	$(BIN)/emrysctl render compose -o docker-compose.yaml

.PHONY: clean
clean: ## remove what make built (state in $$EMRYS_HOME stays)
	rm -rf $(BIN) $(CACHE)
