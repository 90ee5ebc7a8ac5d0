# wherry: `make` lists the targets. The work is done by cargo and by the
# scripts below tests/scripts, which can be run by themselves too.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
PREFIX ?= /usr/local
DESTDIR ?=
BINARY ?=

.DEFAULT_GOAL := help
.PHONY: help build test test-root test-vm record-docker check demo bench generate install clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

build: ## the release binary, static: target/wherry
	$(CARGO) build --release
	ln -sf $(HOST)/release/wherry $(TARGET_DIR)/wherry
	@ls -lL $(TARGET_DIR)/wherry

test: ## all tests, as an unprivileged user and as root (asks for sudo)
	tests/scripts/test

test-root: ## only the part that runs as root
	tests/scripts/test --root-only

test-vm: build ## limits and an older kernel, in an emulated machine (two minutes)
	tests/scripts/vm $(TARGET_DIR)/wherry

record-docker: ## what docker and dockerd answer, into tests/docker (root, docker.io)
	tests/scripts/record-docker

check: ## format and lints
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --all-features -- -D warnings

demo: ## build, make an image and run a container of it without root
	tests/scripts/demo

bench: build ## times of wherry, and of podman and docker where they are
	tests/bench/bench.py $(TARGET_DIR)/wherry

generate: ## manual pages, from the table of commands
	UPDATE=1 $(CARGO) test --test engine cli::docs

install: $(if $(BINARY),,build) ## into $(PREFIX), below $(DESTDIR); BINARY=… takes that one
	install -Dm755 $(or $(BINARY),$(TARGET_DIR)/wherry) "$(DESTDIR)$(PREFIX)/bin/wherry"
	install -d "$(DESTDIR)$(PREFIX)/share/man/man1"
	for page in man/*.1; do \
	    to="$(DESTDIR)$(PREFIX)/share/man/man1/$${page##*/}"; \
	    if [ -L "$$page" ]; then ln -sfn "$$(readlink "$$page")" "$$to"; \
	    else install -m644 "$$page" "$$to"; fi; done
	install -Dm644 completions/wherry.bash \
	    "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/wherry"
	install -Dm644 completions/_wherry "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_wherry"
	install -Dm644 completions/wherry.fish \
	    "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/wherry.fish"

clean: ## what was built
	$(CARGO) clean
