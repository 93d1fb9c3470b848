# The workshop: the same commands here and in CI. A fresh clone on Debian 12 needs git, make and root, nothing more.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

bin := .venv/bin
ready := .venv/ready

# user-mode-linux and kmod: the lab's kernel where the machine's own has no netem. nftables: `lab cut`.
# openssh-server: a second way into a host, which no fault may close. shellcheck: the scripts.
packages := user-mode-linux kmod iproute2 iputils-ping nftables procps util-linux openssh-server \
	python3 python3-venv shellcheck

help: ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

setup: $(ready) ## what Debian and PyPI have to give, once
$(ready): pyproject.toml Makefile tests/lab/packages
	@tests/lab/packages $(packages)
	@test -x $(bin)/python || tests/lab/python -m venv .venv
	@$(bin)/pip install --quiet --disable-pip-version-check --editable '.[agent,controller,dev]'
	@touch $@

# What a command holds is the lab's shell to expand, not make's.
export LAB_COMMAND := $(value RUN)
lab: $(ready) ## a fleet on this machine and a shell in it; or RUN='CMD' HOSTS='web1 db1' KERNEL=uml|host AGENTS=none
	@tests/lab/boot $(if $(LAB_COMMAND),"$$LAB_COMMAND")

demo: $(ready) ## a tour in the lab
	@tests/lab/boot "python tests/lab/demo.py"

test: unit system ## every test

unit: $(ready) ## tests on this machine; FILES='tests/agent' chooses
	@$(bin)/pytest --ignore=tests/system $(FILES)

system: $(ready) ## tests in the lab, with a real kernel and a real fleet; FILES='tests/system/test_x.py' chooses
	@tests/lab/boot 'pytest $(or $(FILES),tests/system)'

lint: style types scripts generated ## style, types, generated code up to date

style: $(ready)
	@$(bin)/ruff check
	@$(bin)/ruff format --check

types: $(ready)
	@$(bin)/mypy

scripts: $(ready)
	@shellcheck --severity=warning .ci/run bench/run tests/lab/{boot,lab,packages,python,uml,uml-init}

generated: $(ready)
	@fresh=$$(mktemp --directory); trap 'rm -rf $$fresh' EXIT; $(call generate,$$fresh); \
	diff --recursive --exclude=__pycache__ --exclude='*.proto' $$fresh/chaos_protocol/v1 protos/chaos_protocol/v1 \
		|| { echo "stubs: out of date; run: make stubs" >&2; exit 1; }

generate = PATH=$(CURDIR)/$(bin):$$PATH $(bin)/python -m grpc_tools.protoc --proto_path=protos --python_out=$(1) \
	--grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) protos/chaos_protocol/v1/*.proto

stubs: $(ready) ## Python from the protos
	@$(call generate,protos)

bench: $(ready) ## benchmarks, with their peers side by side
	@bench/run

clean: ## what was made here
	rm -rf .venv .lab .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help setup lab demo test unit system lint style types scripts generated stubs bench clean
