# Every task of a developer. Each target sets up what it needs; nothing has to be installed before.
.DEFAULT_GOAL := help
FUZZ_EXAMPLES ?= 200
.PHONY: help setup demo up down test test-each test-compose test-containers fuzz check journeys bench migrate docs secrets certificate pin chaos
SHELL := /bin/sh
# Without compiled modules every process starts seconds later.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@sh scripts/bootstrap.sh

demo: setup  ## from nothing to every alert, in one command
	@$(BIN)/taawon demo $(ARGS)

up: setup  ## start everything, leave it running, print the URLs
	@$(BIN)/taawon up

down:  ## stop everything that up or demo started
	@if [ -x $(BIN)/taawon ]; then $(BIN)/taawon down; else echo "nothing to stop"; fi

test: setup  ## every test, on a real PostgreSQL and a real RabbitMQ
	@$(BIN)/python scripts/run_tests.py $(ARGS)

test-each: setup  ## every test file by itself
	@$(BIN)/python scripts/run_each_file.py $(ARGS)

fuzz: setup  ## make up requests for every route, many more than in make test
	@$(BIN)/pytest tests/security/test_fuzz.py --fuzz-examples $(FUZZ_EXAMPLES) --timeout 900 $(ARGS)

journeys: setup  ## only the stories across real processes
	@$(BIN)/pytest tests/journeys $(ARGS)

test-compose: setup  ## docker-compose.yml brought up for real; needs a Docker engine
	@TAAWON_TEST_COMPOSE=1 $(BIN)/pytest tests/compose --timeout 1200 $(ARGS)

test-containers: setup  ## the tests marked `servers`, on RabbitMQ and PostgreSQL in containers
	@TAAWON_TEST_NODES=containers $(BIN)/pytest -m servers shared/tests services tools tests/journeys/test_story.py $(ARGS)

bench:  ## compare the throughput of the outbox with this machine's limit and with other designs
	@sh scripts/bootstrap.sh --group bench
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: setup  ## make every part fail under load, and check that no event is lost or has two effects
	@$(BIN)/python -m tests.chaos $(ARGS)

check: setup  ## format, lint, types, boundaries, generated docs, migrations
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy shared/shared $(foreach part,$(wildcard services/* tools/*),$(part)/$(notdir $(part))) benchmarks
	@$(BIN)/lint-imports
	@$(BIN)/taawon docs --check
	@$(BIN)/taawon docs contracts
	@$(BIN)/python scripts/check_migrations.py

migrate: setup  ## start the servers only and bring their databases to the newest schema
	@$(BIN)/taawon up --migrate-only

docs: setup  ## generate the generated pages again
	@$(BIN)/taawon docs

secrets:  ## write a strong .env and a certificate for docker compose, once
	@python3 deploy/make_certificate.py --unless-there $(HOST)
	@python3 deploy/make_env.py

certificate:  ## a new certificate of the broker: make certificate HOST=amqp.example.org
	@python3 deploy/make_certificate.py $(HOST)

pin:  ## write the digests of the images of others into .env
	@python3 deploy/pin_images.py
