# The README's commands. Everything real stands in meson.build and tools/.
BUILD ?= build
MESON = meson

.PHONY: all run test test-asan mutants bench fmt clean bootstrap bootstrap-test

all: bootstrap $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

$(BUILD)/build.ninja:
	@$(MESON) setup $(BUILD) >/dev/null

bootstrap:
	@tools/bootstrap build

bootstrap-test:
	@tools/bootstrap test

run: all
	@exec $(BUILD)/quell serve

test: bootstrap-test
	@tools/test

test-asan: bootstrap-test
	@tools/test --asan

mutants: bootstrap-test
	@tools/mutants

bench: bootstrap-test all
	@bench/run

fmt:
	@git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]' | xargs clang-format-14 -i

clean:
	@rm -rf build build-asan build-test
