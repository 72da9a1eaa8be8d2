# The README's commands. Everything real stands in meson.build and tools/.
BUILD ?= build
MESON = meson

.PHONY: all run test test-asan test-matrix mutants bench fmt clean bootstrap bootstrap-test

all: $(BUILD)/build.ninja
	@tools/modules
	@ninja -C $(BUILD)

$(BUILD)/build.ninja: | bootstrap
	@said=$$($(MESON) setup $(BUILD) 2>&1) || { echo "$$said"; exit 1; }

bootstrap:
	@tools/bootstrap build

bootstrap-test:
	@tools/bootstrap test
	@tools/modules

# ARGS are flags of `quell serve`.
run: all
	@exec tools/run $(BUILD)/quell serve $(ARGS)

# ARGS name single tests or suites.
test: bootstrap-test
	@tools/test $(ARGS)

test-asan: bootstrap-test
	@tools/test --asan $(ARGS)

# The core proofs beside PyPI's newest Celery.
test-matrix: bootstrap-test all
	@tools/test-matrix $(BUILD)

mutants: bootstrap-test
	@tools/mutants

bench: bootstrap-test all
	@bench/run

fmt:
	@git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]' | xargs clang-format-14 -i

clean:
	@rm -rf build build-asan build-clang build-test
