# Everything runs from the virtual environment that `set-up` makes; nothing else needs installing first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo demo-local demo-more test lint bench set-up clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: set-up ## the walkthrough: a cluster on this machine, the mesh installed with Helm, a deny and an allow
	@$(BIN)/pellucid demo $(if $(ONLINE),-online) $(DEMO_ARGS)

demo-local: set-up ## two unmodified programs talk through the mesh, without Kubernetes
	@$(BIN)/pellucid demo -local $(if $(ONLINE),-online) $(DEMO_ARGS)

demo-more: set-up ## what the walkthrough leaves out: names, protocols, ways to dial, address families
	@./set-up redis-server postgresql
	@$(BIN)/pellucid demo -more $(DEMO_ARGS)

test: set-up lint ## all checks and tests
	@./set-up redis-server postgresql
	@tests/kube/real_kubernetes/build kube-apiserver kube-controller-manager
	@$(BIN)/pytest $(PYTEST_ARGS)

lint: set-up ## style and types
	@$(BIN)/ruff check src tests bench examples
	@$(BIN)/ruff format --check --quiet src tests bench examples
	@$(BIN)/mypy

bench: set-up ## figures, printed as a table and written to bench/results/
	@$(BIN)/python -m bench $(BENCH_ARGS)

set-up: ## virtual environment, pinned Python packages, system packages
	@PYTHON=$(PYTHON) ./set-up

clean: ## remove what set-up and the tests made
	rm -rf .venv .cache build dist bench/results .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
