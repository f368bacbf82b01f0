# Two commands set up everything: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/bash
export TORCH TORCH_INDEX

.PHONY: help demo test bench lint types check format lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/.stamp: pyproject.toml constraints.txt scripts/environment.py
	$(PYTHON) scripts/environment.py dev
	@touch $@

demo: .venv/.stamp ## train SVRE and alternating Adam on real digits, and write a page about it
	@rm -rf runs/demo
	$(BIN)/manypaths run digits-svre --set evaluations=$(DEMO_EVALUATIONS) --out runs/demo/digits-svre
	$(BIN)/manypaths run digits-adam --set evaluations=$(DEMO_EVALUATIONS) --out runs/demo/digits-adam
	@echo "the page:"
	@$(BIN)/manypaths report runs/demo/digits-svre runs/demo/digits-adam --out runs/demo/report.html

DEMO_EVALUATIONS ?= 1200000

test: .venv/.stamp ## the default test suite
	$(BIN)/python -m pytest -n auto --dist worksteal

bench: .venv/.stamp ## time everything against its rivals: benchmarks/results.json and the table in docs/performance.md
	@$(BIN)/python -m pip install -q cooper-optim
	@for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done
	@$(BIN)/python benchmarks/table.py

BENCHMARKS ?= steps overhead optimisers population replicas peak memory foreign processes

lint: .venv/.stamp ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.stamp ## static types
	$(BIN)/pyright

check: lint types test ## all that CI runs

format: .venv/.stamp ## rewrite the code in the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## rewrite constraints.txt (needs uv)
	uv pip compile --universal --all-extras --no-emit-package manypaths --no-header --no-annotate \
	  --constraint <(echo "torch==2.13.0") pyproject.toml \
	  | grep -vE '^(nvidia-|cuda-|triton)' > constraints.txt

clean: ## remove the environment and the caches, keep runs
	rm -rf .venv .pytest_cache .ruff_cache
