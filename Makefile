# `make help` lists the targets.
SHELL := /bin/bash
TOOLCHAIN ?= $(shell dirname $$(dirname $$(dirname $$(readlink -f $$(command -v swift)))))
RUN ?= .run
RULES := chart/files/rules.json
# Static, one section a function, identical ones folded, nothing kept that is not called.
EMBEDDED_FLAGS = -c release -Xswiftc -Osize -Xswiftc -Xfrontend -Xswiftc -function-sections \
	-Xcc -fno-asynchronous-unwind-tables -Xcc -ffunction-sections -Xcc -fdata-sections \
	-Xswiftc -use-ld=lld -Xlinker --icf=all \
	-Xlinker -s -Xlinker --gc-sections -Xlinker -lm -Xswiftc -Xclang-linker -Xswiftc -static
CROSS_FLAGS = -Xswiftc -Xclang-linker
SIZE_LIMIT := 1000000

.DEFAULT_GOAL := help
.PHONY: help run build test coverage lint format bench verify dist dist-all dist-amd64 dist-arm64 dist-armv7 \
	sizes smoke-arm tsan asan fuzz clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

build: ## Build both programs
	swift build -c release

run: build ## Build and start both programs; Ctrl-C stops both
	@.ci/run-pair .build/release $(RUN) $(RULES)

test: ## Run the tests
	swift test

coverage: ## Run the tests and report coverage under coverage/
	swift test --enable-code-coverage
	.ci/coverage

lint: ## Check formatting, warnings and shell scripts
	swift format lint --strict --recursive Sources Tests Package.swift
	.ci/no-warnings
	if command -v shellcheck >/dev/null; then shellcheck .ci/run .ci/run-pair .ci/coverage .ci/no-warnings .ci/smoke-arm .ci/sizes .ci/collect; fi

format: ## Format the sources
	swift format format --in-place --recursive Sources Tests Package.swift

bench: dist-amd64 ## Compare with nginx and a C receiver; prints ratios
	python3 Benchmarks/bench.py --programs dist/linux-amd64

verify: dist-amd64 ## Kill, stop and flood real processes, and check every count
	swift build
	python3 .ci/verify.py --programs dist/linux-amd64 --debug-programs .build/debug $(VERIFY)

tsan: ## Run the tests under ThreadSanitizer
	swift test --sanitize=thread --scratch-path .build-tsan

fuzz: ## Run the seeded tests of bent and cut input under AddressSanitizer
	swift test --sanitize=address --scratch-path .build-asan --filter FuzzTests

asan: ## Run the tests under AddressSanitizer
	swift test --sanitize=address --scratch-path .build-asan

dist: dist-all ## Static binaries under a megabyte for three platforms, in dist/
	@$(MAKE) --no-print-directory sizes

dist-all: dist-amd64 dist-arm64 dist-armv7

# A step of its own, so that a binary over the limit can still be measured and verified.
sizes: ## Fail if a binary in dist/ has 1,000,000 bytes or more
	.ci/sizes $(SIZE_LIMIT)

dist-amd64:
	EMBEDDED=1 swift build $(EMBEDDED_FLAGS) --scratch-path .build-amd64 \
	  -Xlinker $(TOOLCHAIN)/usr/lib/swift/embedded/x86_64-unknown-linux-gnu/libswiftUnicodeDataTables.a
	.ci/collect .build-amd64/release dist/linux-amd64

dist-arm64:
	EMBEDDED=1 swift build $(EMBEDDED_FLAGS) --scratch-path .build-arm64 \
	  --triple aarch64-none-none-elf -Xcc -isystem -Xcc /usr/aarch64-linux-gnu/include \
	  $(CROSS_FLAGS) -Xswiftc --target=aarch64-linux-gnu \
	  -Xlinker $(TOOLCHAIN)/usr/lib/swift/embedded/aarch64-none-none-elf/libswiftUnicodeDataTables.a
	.ci/collect .build-arm64/aarch64-none-none-elf/release dist/linux-arm64

dist-armv7:
	EMBEDDED=1 swift build $(EMBEDDED_FLAGS) --scratch-path .build-armv7 \
	  --triple armv7-none-none-eabi -Xcc -isystem -Xcc /usr/arm-linux-gnueabi/include \
	  $(CROSS_FLAGS) -Xswiftc --target=armv7-linux-gnueabi \
	  -Xlinker $(TOOLCHAIN)/usr/lib/swift/embedded/armv7-none-none-eabi/libswiftUnicodeDataTables.a
	.ci/collect .build-armv7/armv7-none-none-eabi/release dist/linux-armv7

smoke-arm: dist-arm64 dist-armv7 ## Have the arm binaries answer and count a request under qemu-user
	.ci/smoke-arm

clean: ## Remove everything that was built
	rm -rf .build .build-* dist coverage $(RUN)
