# packctl: `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
TOOLCHAIN := $(PY) tools/toolchain.py
PIP := $(PY) -m pip --disable-pip-version-check -q
# The first releases of pip do not know the dependency groups of pyproject.toml.
PIP_VERSION := 25.3

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -e -o pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

# Variables given on the command line (DURATION=20 PLAIN=1) reach the tools as environment.

.PHONY: help setup ready test-ready firmware run rig test test-rp2040 test-rv32 test-fast hil hil-emulated hil-silicon report fuzz lint soc-report dbc pages profile trace days bench campaign hunt mutants powercut update-cuts web web-ready web-serve test-web release mip wheel flash size clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.stamp ## create the Python environment in .venv (again when pyproject.toml changes)

# Everything below talks on standard error: `make rig` keeps standard output for itself.
$(VENV)/.stamp: pyproject.toml
	@exec >&2; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	    || { echo "setup: $(PYTHON) has to be Python 3.10 or later"; exit 1; }; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "setup: installing python3-venv"; \
	    sudo=$$([ $$(id -u) = 0 ] || echo sudo); \
	    { $$sudo apt-get update -q && $$sudo apt-get install -y -q python3-venv; } >/dev/null \
	        || { echo "setup: install the package python3-venv and try again"; exit 1; }; }; \
	echo "setup: Python environment in $(VENV)"; \
	rm -rf $(VENV); \
	$(PYTHON) -m venv $(VENV); \
	$(PIP) install 'pip==$(PIP_VERSION)'; \
	$(PIP) install --group dev; \
	$(PIP) install --target $(VENV)/micropython-lib --group device; \
	$(PIP) install --no-deps --target $(VENV)/clients --group clients; \
	for port in rp2 esp32; do \
	    $(PIP) install --target $(VENV)/stubs/$$port --group stubs-$$port; \
	    sed -i -E -e '/^@overload  # force merge/d' \
	        -e 's/^def (viper|asm_thumb)\(.*/def \1(_func: Callable[..., Any], \/) -> Callable[..., Any]:/' \
	        $(VENV)/stubs/$$port/micropython.pyi; \
	done; \
	touch $@
# The `sed` above: to the stubs a viper function takes a ptr8 and nothing else; callers pass buffers.

ready: setup
	@$(TOOLCHAIN) all >/dev/null

firmware: setup ## build the image: build/packctl-pico.uf2
	@$(TOOLCHAIN) firmware

run: ready ## watch a pack on the emulated Pico (DURATION=seconds, PLAIN=1 for lines)
	@exec $(PY) tools/screen/run.py

rig: ready ## the bench: JSON lines on standard input and output (make -s rig)
	@exec $(PY) tools/rig.py

test-ready: ready
	@$(TOOLCHAIN) test-packages >/dev/null

test: test-ready lint ## lint, all tests on CPython and the unix port, samples on the emulated RP2040 and RISC-V
	@$(PY) -m pytest -n 2 tests_host --targets host,unix,sample

test-rp2040: ready ## all tests that run on the emulated RP2040 (one hour)
	@$(PY) -m pytest -n 2 tests_host --targets rp2040 -m rp2040

test-rv32: ready ## all unit tests as code of the ESP32-C3 and C6 (rv32imc), on QEMU
	@$(TOOLCHAIN) rv32 >/dev/null
	@$(PY) -m pytest -n 2 tests_host/test_on_target.py --targets rv32

test-fast: test-ready ## tests on CPython alone
	@$(PY) -m pytest tests_host -m "not slow and not unix and not rp2040 and not rv32"

# The page and the file for CI that `make report` writes; `make hil` uses them too.
REPORT = --html=build/report.html --self-contained-html --junitxml=build/report.xml

hil: ready ## the scenarios on a real board with a box (PORT=debug port, BOX=port, FLASH=USB port, K=text)
	@exec $(PY) tools/trials/hil.py $(if $(PORT),--port "$(PORT)") $(if $(BOX),--box "$(BOX)") \
		$(if $(FLASH),--flash "$(FLASH)") $(if $(K),-k "$(K)")

hil-emulated: ready ## the same on two emulated Picos, pin by pin (hours; K=text for a part)
	@$(PY) -m pytest -v -n 2 tests_host/scenarios --targets rp2040+box -m box \
		$(if $(K),-k "$(K)") $(REPORT)

hil-silicon: ready ## a real BQ76952 on the AFE's pins against the models (PORT=USB port, build/silicon.md)
	@[ -n "$(PORT)" ] || { echo "make hil-silicon PORT=/dev/ttyACM0" >&2; exit 1; }
	@exec $(PY) tools/image/hil_silicon.py "$(PORT)"

report: ready ## the bench's scenarios as a page: build/report.html (TARGETS=host,unix,rp2040)
	@$(PY) -m pytest -n 2 tests_host/scenarios --targets $(or $(TARGETS),host,unix,sample) $(REPORT)

fuzz: ready ## fuzz every port with random bytes: 10 MB on host, 1 MB on unix (BYTES=n, SEED=n)
	@exec nice $(PY) tools/proof/fuzz.py

lint: ready ## check style, spelling, types, both processors' compilers, generated pages
	@rc=0; \
	$(VENV)/bin/ruff check --output-format concise . || rc=1; \
	$(VENV)/bin/codespell || rc=1; \
	$(call types,rp2,esp32|xtensa) || rc=1; \
	$(call types,esp32,rp2|thumb) || rc=1; \
	echo "types: packctl"; MYPYPATH=tools $(VENV)/bin/mypy --strict --python-version 3.10 \
	    --cache-dir .mypy_cache/packctl -p packctl || rc=1; \
	$(TOOLCHAIN) crosscheck || rc=1; \
	$(PY) tools/generate/pages.py --check || rc=1; \
	$(PY) tools/generate/can_dbc.py --check || rc=1; \
	exit $$rc

# $(call types,port,endings of files for other ports)
types = echo "types: $(1)"; MYPYPATH=firmware:lib:$(VENV)/stubs/$(1) $(VENV)/bin/mypy \
	--platform $(1) --exclude '_($(2))\.py$$|/examples/' --cache-dir .mypy_cache/$(1) \
	--custom-typeshed-dir $(VENV)/stubs/$(1) firmware lib

soc-report: ready ## compare the state of charge with the truth, over a year (docs/soc.md, 20 minutes)
	@nice $(PY) tools/studies/soc_study.py
	@nice $(PY) tools/studies/soc_days.py
	@nice $(PY) tools/studies/soc_report.py

balance-report: setup ## measure how long balancing takes (docs/balancing.md)
	@nice $(PY) tools/studies/balance_study.py

dbc: setup ## write docs/packctl.dbc: the CAN frames for other programs
	@$(PY) tools/generate/can_dbc.py

pages: setup ## write the reference pages and pictures in docs/
	@$(PY) tools/generate/pages.py

profile: setup ## check the file of a product: make profile FILE=firmware/profiles/lfp_8s_280.json
	@$(PY) tools/image/profile_file.py "$(FILE)"

trace: setup ## list which test proves which requirement
	@$(PY) tools/proof/trace_requirements.py

days: ready ## play whole days of an inverter, 15 packs, a million states of a fleet, bench twice
	@PACKCTL_AS1_HOUR_S=3600 PACKCTL_FLEET_S=600 PACKCTL_FLEET_STATES=1000000 \
		PACKCTL_BENCH_AGAIN=board,protection PACKCTL_HOURS=1 \
		nice $(PY) -m pytest tests_host/tools/test_as1.py tests_host/scenarios/test_scenarios_fleet.py \
		tests_host/properties/test_fleet_properties.py tests_host/tools/test_bench.py \
		tests_host/scenarios/test_scenarios_power.py \
		-k "whole_day or lossy_bus or random_states or second_one_agrees or 40_hours or 24_hours"

bench: ready ## measure time, memory and load on the emulated Pico (build/bench.json)
	@$(PY) tools/load/bench.py

campaign: ready ## every fault at many moments, and healthy days (docs/campaign.md, an hour; QUICK=1 a subset)
	@exec $(PY) tools/trials/campaign.py $(if $(QUICK),--quick) \
		$(if $(SCHEDULER),--scheduler $(SCHEDULER))

hunt: ready ## search for harm at random (docs/hunt.md, hours; continues; QUICK=1 a sample)
	@exec nice $(PY) tools/trials/hunt.py $(if $(QUICK),--quick) $(if $(SCHEDULER),--scheduler $(SCHEDULER))

mutants: setup ## put single errors into the safety core: do the tests see them? (docs/mutants.md)
	@exec $(PY) tools/proof/mutants.py

powercut: ready ## cut the supply within every flash operation (docs/powercut.md; QUICK=1 a part)
	@exec $(PY) tools/proof/powercut.py $(if $(QUICK),--quick)

update-cuts: setup ## cut the supply within every flash operation of updates (docs/update.md, a minute)
	@exec nice $(PY) tools/proof/update_cuts.py

release: setup ## build/release: image, tool, checksums, sizes, list of parts, tag text, mip packages
	@$(PY) tools/image/release.py

mip: setup ## build/mip: the drivers of lib/ as packages for mpremote mip
	@$(PY) tools/image/mip.py

wheel: ready ## build/packctl-*.whl, the host tool, tried in an empty environment
	@$(PIP) wheel --no-deps -w build .
	@PACKCTL_WHEEL=1 $(PY) -m pytest -q -k packctl_wheel tests_host

web-ready: ready
	@$(TOOLCHAIN) web-packages >/dev/null

web: web-ready ## the pack on a page: static files in build/web
	@$(PY) tools/web/web_build.py

web-serve: web-ready ## the pack on a page, served on this machine (PORT=8000)
	@exec $(PY) tools/web/web_build.py --serve $(if $(PORT),--port $(PORT))

test-web: ready ## the page in Chromium (installs it, and playwright)
	@$(TOOLCHAIN) browser-packages >/dev/null
	@$(PIP) install --group web
	@PACKCTL_WEB=1 $(PY) -m pytest tests_host/tools/test_web.py

flash: ready ## flash a board: make flash PORT=/dev/ttyACM0
	@[ -n "$(PORT)" ] || { echo "make flash PORT=/dev/ttyACM0 (or the folder of the BOOTSEL drive)" >&2; exit 1; }
	@$(PY) tools/image/flash.py "$(PORT)"

size: setup ## show the flash used, and bytes per module
	@$(TOOLCHAIN) size

clean: ## remove what was built (.venv and the compiler cache stay)
	rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
