# Emrys: everything is built from source with Go, gcc and make.

SHELL      := /bin/bash
BIN        := bin
CACHE      := .cache
TOOLS      := $(CACHE)/tools
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOFLAGS_X  := -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
EMRYS_HOME ?= $(CURDIR)/.emrys
FUZZTIME   ?= 10s
CHECKS     ?= 200
export EMRYS_HOME

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
	go vet -tags node,browser,benchwasm ./cmd/emrys-wasm
	go vet -tags oracle ./pkg/pre/internal/algebra
	GOOS=js GOARCH=wasm go vet ./cmd/emrys-wasm ./pkg/pre/... ./pkg/seal ./pkg/emr ./pkg/consent

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

.PHONY: model
model: ## some ten thousand random transactions of the whole contract against its model (CHECKS sequences)
	go test -count=1 -timeout 20m ./chaincode/ledger/ledgermodel -rapid.checks=$(CHECKS)

.PHONY: race
race: ## unit tests, the long ones too, under the race detector
	go test -race ./...

.PHONY: e2e
e2e: daemons ## end-to-end tests on a real network of their own
	go test -p 1 -tags e2e -count=1 -timeout 40m ./network/e2e/... # one network at a time

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (default 10s)
	FUZZTIME=$(FUZZTIME) .tools/fuzz ./...

# What others have to say of the protocol. Each is a job of its own.

NODE_MODULES := pkg/pre/internal/algebra/umbral/node_modules/.package-lock.json \
  pkg/vectors/js/node_modules/.package-lock.json cmd/emrys-wasm/js/node_modules/.package-lock.json

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: judges
judges: oracle judge fips pkcs11 wasm-test browser-test ## all of the next six

.PHONY: oracle
oracle: pkg/pre/internal/algebra/umbral/node_modules/.package-lock.json ## the algebra against umbral-pre over secp256k1, live (needs node, npm)
	go test -count=1 -tags oracle -run Oracle ./pkg/pre/internal/algebra

.PHONY: judge
judge: pkg/vectors/js/node_modules/.package-lock.json ## the second implementation, in JavaScript: all vectors, and both directions live (needs node, npm)
	cd pkg/vectors/js && npm test

.PHONY: fips
fips: ## what runs, with everything refused that FIPS 140-3 does not approve
	GODEBUG=fips140=only go test -short ./pkg/pre/... ./pkg/seal ./pkg/keystore/... ./pkg/client/... ./pkg/attest/... ./pkg/manifest ./pkg/consent ./pkg/signature ./pkg/trail \
	  ./gateway/... ./chaincode/... ./cmd/emrys ./cmd/emrys-gateway

.PHONY: pkcs11
pkcs11: ## keys in a token (needs Debian's softhsm2)
	go vet -tags pkcs11 ./pkg/keystore/pkcs11
	go test -count=1 -tags pkcs11 ./pkg/keystore/pkcs11

.PHONY: wasm
wasm: ## the browser's device into bin/wasm
	cmd/emrys-wasm/build.sh $(BIN)/wasm

.PHONY: wasm-test
wasm-test: cmd/emrys-wasm/js/node_modules/.package-lock.json ## the browser's device in Node, with all vectors (needs node, npm)
	go test -tags node -count=1 ./cmd/emrys-wasm

.PHONY: browser-test
browser-test: cmd/emrys-wasm/js/node_modules/.package-lock.json ## the browser's device in headless Chromium, up to 1 GiB (needs node, npm, Debian's chromium)
	go test -tags browser -count=1 -run Chromium ./cmd/emrys-wasm

.PHONY: test
test: check race e2e judges ## everything that must be green

.PHONY: bench
bench: daemons ## the network beside bare Fabric and bare IPFS, in one run
	$(BIN)/emrysctl up
	go test -tags e2e -run '^$$' -bench . -skip '^BenchmarkFunctions$$' -benchtime 1x -timeout 60m ./network/bench/...

.PHONY: bench-ledger
bench-ledger: daemons ## every transaction of the contract beside a bare put of one key, in one run
	$(BIN)/emrysctl up
	go test -tags e2e -run '^$$' -bench '^BenchmarkFunctions$$' -benchtime 1x -timeout 20m ./network/bench/...

.PHONY: bench-protocol
bench-protocol: cmd/emrys-wasm/js/node_modules/.package-lock.json ## the protocol and the container, native and in WebAssembly, beside others
	go test -run '^$$' -bench . -benchtime 300ms -count 3 ./pkg/pre
	cd pkg/seal/bench && go test -run '^$$' -bench . -benchtime 300ms -count 3
	go test -tags benchwasm -count=1 -v -run '^TestBench$$' ./cmd/emrys-wasm

.PHONY: generate
generate: build ## render docker-compose.yaml and the tables of docs/spec/ledger.md again
	$(BIN)/emrysctl render compose -o docker-compose.yaml
	go run ./pkg/ledgerapi/specification docs/spec/ledger.md

.PHONY: clean
clean: ## remove what make built (state in $$EMRYS_HOME stays)
	rm -rf $(BIN) $(CACHE)
