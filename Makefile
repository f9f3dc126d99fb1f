# `make help` lists the targets.
SHELL := /bin/bash
RUN ?= .run
RULES := chart/files/rules.json
# The release form: Embedded Swift, static with musl, one section a function, identical ones folded,
# nothing kept that is not called. musl instead of glibc, of which an empty static program has
# 670 KB.
# No hash of each module's code, of which the path is a part: the same sources give the same bytes.
EMBEDDED_FLAGS = -c release --omit-frame-pointers -Xswiftc -enforce-exclusivity=unchecked \
	-Xswiftc -Xfrontend -Xswiftc -function-sections \
	-Xswiftc -Xfrontend -Xswiftc -disable-incremental-llvm-codegen \
	-Xcc -fno-asynchronous-unwind-tables -Xcc -ffunction-sections -Xcc -fdata-sections \
	-Xswiftc -use-ld=lld -Xlinker --icf=all -Xlinker -s -Xlinker --gc-sections \
	-Xswiftc -Xclang-linker -Xswiftc -static -Xswiftc -Xclang-linker -Xswiftc -nostdlib
# $(call static,MUSL,GCC): what a static program of that platform is linked with.
static = -Xcc -isystem -Xcc /usr/include/$(1) \
	$(foreach part,crt1.o crti.o libc.a crtn.o,-Xlinker /usr/lib/$(1)/$(part)) \
	-Xlinker $(shell $(2) -print-libgcc-file-name)
# 1 MiB.
SIZE_LIMIT := 1048576

.DEFAULT_GOAL := help
# No target here is a file.
.PHONY: $(shell grep -ohE '^[a-z0-9-]+:' $(MAKEFILE_LIST) | tr -d :)

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | \
	  awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

build: ## Build the programs
	swift build -c release

run: build ## Build and start both programs; Ctrl-C stops both
	@Scripts/run-pair .build/release $(RUN) $(RULES)

test: ## Run the tests
	swift test

coverage: ## Run the tests and report coverage under coverage/
	swift test --enable-code-coverage
	Scripts/coverage

lint: ## Check formatting, warnings and shell scripts
	swift format lint --strict --recursive Sources Tests Package.swift
	Scripts/page --check
	Scripts/no-warnings
	@command -v shellcheck >/dev/null || \
	  { echo "no shellcheck: install Debian's package of that name" >&2; exit 1; }
	shellcheck .ci/run .ci/python .ci/helm \
	  $(addprefix Scripts/,run-pair coverage no-warnings sizes collect image assets wheel) \
	  Tests/System/smoke-arm Tests/System/smoke-images

format: ## Format the sources
	swift format format --in-place --recursive Sources Tests Package.swift

bench: dist-amd64 ## Compare with nginx, a C receiver and statsd_exporter; prints ratios
	python3 Benchmarks/bench.py --programs dist/linux-amd64

bench-scrape: dist-amd64 ## Compare large pages with peers: time, memory, limits (BENCH=--check)
	python3 Benchmarks/bench_scrape.py --programs dist/linux-amd64 $(BENCH)

verify-intake: dist-amd64 ## Every way in, on real sockets: bad input, limits, killed workers
	swift build --package-path Examples --product count-jobs
	Tests/System/run intake session_client supervised workers limits neighbours ready attacks drains worst worst_beside

verify-rules: dist-amd64 ## Reload rules under load, refuse bad ones, convert statsd_exporter's; RE2
	Tests/System/run rules rule_tests regex mappings

verify-exposition: dist-amd64 ## The page in each format, read by others' parsers
	Tests/System/run exposition any_page

verify-kinds: dist-amd64 ## Sets, summaries, native histograms, gauges of several clients
	Tests/System/run kinds

verify-state: dist-amd64 ## The state file: its bytes, a million series, kills, limits, full disks
	Tests/System/run state odd_state disk

verify-last: dist-amd64 ## The last second: pods deleted at real times, jobs, repeated pushes
	Tests/System/run linger run short pod_end

verify-soak: dist-amd64 ## Everything at once by a seed: reloads, expiry, kills (SEED, ROUNDS)
	Tests/System/run soak

allocations: ## Show that a warm request, event and scraped line allocate nothing (valgrind)
	swift build -c release
	Tests/System/run allocations

readme: ## Run README.md's sessions and compare what they print
	Tests/System/run readme

docs-check: dist-amd64 ## Run the examples of docs/ against a sidecar; check links and file names
	Tests/System/run docs settings

browser: dist-amd64 ## Use both pages in headless Chromium, and picture them (PICTURES)
	Tests/System/run browser

clients: dist-amd64 ## Have clients that others wrote count to the unit (Python, in .venv)
	Tests/System/run clients

wheel: ## Build the Python client's wheel, and test it, in dist/python
	rm -rf dist/python && Scripts/wheel dist/python

python: dist-amd64 ## Clients/python from its wheel: services under gunicorn (REQUESTS)
	Tests/System/run python

verify-swift: dist-amd64 ## SidecarEvents as others have it: swift-metrics, Hummingbird, kills
	swift build --package-path Examples
	Tests/System/run swift

verify-otlp: dist-amd64 ## OpenTelemetry's SDKs, answers, pages, attacks (REQUESTS, NODE_MODULES)
	Tests/System/run otlp 'otlp_*'

verify: dist-amd64 ## Kill, stop and flood real processes, and check every count (KILLS, SEED)
	swift build
	Tests/System/run counted waiting faults worker_faults

verify-monitoring: dist-amd64 ## Rules, dashboard and Slack messages with a real Prometheus
	Tests/System/run monitoring

pictures: dist-amd64 ## Take docs/pictures of the running pair and of Prometheus
	.ci/python Scripts/pictures --programs dist/linux-amd64

verify-workflows: ## Workflows by actionlint and zizmor, alone in a clone; versions; first steps
	Tests/System/run workflows scripts

push: dist-amd64 ## Compare pushes with Pushgateway, kill after each answer, measure (PUSHGATEWAY)
	Tests/System/run 'push_*' migrate

CONTAINER_BUILD ?= docker build
images: ## Build both images for this machine, as compose.yaml names them (CONTAINER_BUILD)
	BUILDAH_FORMAT=docker $(CONTAINER_BUILD) -f Dockerfile.app -t simple-server:dev .
	BUILDAH_FORMAT=docker $(CONTAINER_BUILD) -f Dockerfile.sidecar -t metrics-sidecar:dev .

verify-chart: dist-amd64 ## Lint, render and try the chart for each Kubernetes from 1.25 on (HELM)
	HELM=$$(.ci/helm) KUBECTL=$$(.ci/helm kubectl) \
	  Tests/System/run chart chart_values library kustomize deployments jobs

verify-stack: ## Compare monitoring/ with kube-prometheus-stack (CHARTS: charts/ of its releases)
	HELM=$$(.ci/helm) Tests/System/run stack

verify-images: ## Both images for three platforms, killed (CONTAINER_ENGINE, _BUILD)
	.ci/python Tests/System/run images

verify-compose: ## compose.yaml: counts over kills, down and up; an alert to Slack's stand-in
	Tests/System/run compose

tsan: ## Run the tests under ThreadSanitizer
	SIM_RUNS=$${SIM_RUNS:-150} swift test --sanitize=thread --scratch-path .build-tsan

# C traps where it would be undefined; Swift traps there by itself.
FUZZ_FLAGS = --sanitize=address -Xcc -fsanitize=undefined -Xcc -fsanitize-trap=all \
	--scratch-path .build-fuzz
fuzz: ## Run Tests/Corpus, and bent inputs of it, with sanitizers (FUZZ_SEED, FUZZ_SECONDS a parser)
	swift build --build-tests $(FUZZ_FLAGS)
	FUZZ_SANITIZED=1 ASAN_OPTIONS=detect_leaks=0 swift test --skip-build $(FUZZ_FLAGS) \
	  --filter CanaryTests
	@rm -rf .build-fuzz/last && mkdir -p .build-fuzz/last
	@seed=$${FUZZ_SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; echo "FUZZ_SEED=$$seed"; \
	FUZZ_SEED=$$seed FUZZ_SECONDS=$${FUZZ_SECONDS:-6} FUZZ_LAST=$$PWD/.build-fuzz/last \
	  ASAN_OPTIONS=detect_leaks=0 swift test --skip-build $(FUZZ_FLAGS) --filter FuzzTests \
	  || { echo "failed with FUZZ_SEED=$$seed; last inputs: .build-fuzz/last/"; exit 1; }

asan: ## Run the tests under AddressSanitizer
	swift test --sanitize=address --scratch-path .build-asan

dist: dist-all ## Static binaries under 1 MiB for three platforms, in dist/
	@$(MAKE) --no-print-directory sizes

dist-all: dist-amd64 dist-arm64 dist-armv7

# A step of its own, so that a binary over the limit can still be measured and verified.
sizes: ## Fail if a binary in dist/ has 1,048,576 bytes (1 MiB) or more
	Scripts/sizes $(SIZE_LIMIT)

# On a machine of another kind it is cross-compiled as the arm ones are.
ifeq ($(shell uname -m),x86_64)
dist-amd64:
	EMBEDDED=1 swift build $(EMBEDDED_FLAGS) --scratch-path .build-amd64 \
	  $(call static,x86_64-linux-musl,gcc)
	Scripts/collect .build-amd64/release dist/linux-amd64
else
dist-amd64:
	$(call cross,amd64,x86_64-unknown-none-elf,x86_64-linux-gnu,x86_64-linux-musl,x86_64-linux-gnu-gcc)
endif

# $(call cross,NAME,TRIPLE,TARGET,MUSL,GCC,MORE): the release form for another platform.
cross = EMBEDDED=1 swift build $(EMBEDDED_FLAGS) --scratch-path .build-$(1) \
	  --triple $(2) -Xswiftc -Xclang-linker -Xswiftc --target=$(3) $(6) $(call static,$(4),$(5)) && \
	Scripts/collect .build-$(1)/$(2)/release dist/linux-$(1)

dist-arm64:
	$(call cross,arm64,aarch64-none-none-elf,aarch64-linux-gnu,aarch64-linux-musl,$\
	  aarch64-linux-gnu-gcc)

# Thumb instructions, which every ARMv7 has, take a quarter less room.
dist-armv7:
	$(call cross,armv7,armv7-none-none-eabi,armv7-linux-gnueabi,arm-linux-musleabi,$\
	  arm-linux-gnueabi-gcc,-Xcc -mthumb)

verify-reproducible: dist-amd64 ## Build the same sources in another folder: the same bytes
	Tests/System/run reproducible

smoke-arm: dist-arm64 dist-armv7 ## Have the arm binaries answer and count a request under qemu-user
	Tests/System/smoke-arm

clean: ## Remove everything that was built
	rm -rf .build .build-* dist coverage $(RUN)
