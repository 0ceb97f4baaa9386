# What people and CI run. Each target does all that it needs, also in a fresh clone.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
# Tests wait more than they compute.
RUNS ?= $(shell expr $(JOBS) + 1)
DATA ?= $(realpath ../shared/data)
configure = cmake --preset $(1) -DTROUPE_TEST_DATA="$(DATA)" $(2) > build/$(1).log 2>&1 || { cat build/$(1).log; exit 1; }

.DEFAULT_GOAL := build
.PHONY: deps deps-tsan deps-bench deps-coverage deps-docs build demo test lint asan asan-all tsan tidy compile-cost fuzz soak mutants coverage bench docs install clean

deps:
	@tools/deps

deps-tsan deps-bench deps-coverage deps-docs: deps-%:
	@tools/deps --$*

build: deps
	@mkdir -p build
	@$(call configure,release)
	@cmake --build --preset release --parallel $(JOBS)
	@ln -sf build/release/compile_commands.json compile_commands.json

# Of what build makes only the command.
demo: deps
	@mkdir -p build
	@$(call configure,release)
	@cmake --build --preset release --parallel $(JOBS) --target troupe_cli
	@build/release/bin/troupe demo

test: deps
	@mkdir -p build
	@$(call configure,dev)
	@cmake --build --preset dev --parallel $(JOBS) -- -k 0
	@ctest --preset dev --parallel $(RUNS)

lint: deps
	@tools/lint
	@tools/docs --check
	@tools/mutants --check

# With MINUTES=N it begins no other part then; see tools/asan.
asan: deps
	@mkdir -p build
	@$(call configure,asan,$(SANITIZE))
	@JOBS=$(JOBS) RUNS=$(RUNS) tools/asan $(MINUTES)

asan-all: SANITIZE = -DTROUPE_SANITIZE_ALL=ON
asan-all: asan

tsan: deps-tsan
	@mkdir -p build
	@$(call configure,tsan)
	@cmake --build --preset tsan --parallel $(JOBS)
	@TSAN_OPTIONS="suppressions=$(CURDIR)/tools/tsan.supp" ctest --preset tsan --parallel 1

# What of a node's header costs a compiler most; see docs/benchmarks.md.
compile-cost: deps
	@tools/compile_time --dearest

# With MINUTES=N it stops then; see tools/tidy.
tidy: deps
	@mkdir -p build
	@$(call configure,dev)
	@tools/tidy $(MINUTES)

# Each fuzzer runs for FUZZ_SECONDS.
FUZZ_SECONDS ?= 60
fuzz: deps
	@mkdir -p build
	@$(call configure,fuzz,-DTROUPE_FUZZ_SECONDS=$(FUZZ_SECONDS))
	@cmake --build --preset fuzz --target fuzz

soak: test
	@tools/soak
	@tools/mutants
	@$(MAKE) fuzz FUZZ_SECONDS=600

# One line of a machine broken at a time; see tests/mutants/README.md.
mutants: deps
	@tools/mutants

coverage: deps-coverage
	@tools/coverage

# What else builds release does without benchmarks; make test builds them, too, and runs them small.
bench: deps deps-bench
	@mkdir -p build
	@$(call configure,release,-DTROUPE_BUILD_BENCHMARKS=ON)
	@cmake --build --preset release --parallel $(JOBS)
	@tools/bench

# Pages that quote the code, then the reference; fails where doxygen has a warning.
docs:
	@tools/docs
	@$(MAKE) --no-print-directory deps-docs
	@mkdir -p build/docs
	@doxygen docs/Doxyfile
	@echo "docs: build/docs/html/index.html"

install: build
	@cmake --install build/release

clean:
	@rm -rf build
