# What one does with this repository. `make` alone lists it.
# Whatever is missing is installed once; a second run of a target installs nothing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
TOOLS := $(TARGET)/tools
export PATH := $(PATH):$(TOOLS)/bin

# Most tests wait: for media that come in their own time, for a database, for a connection that is to end.
export RUST_TEST_THREADS ?= $(shell expr 2 '*' $$(nproc))

# Options for the server: make run ARGS="--http 127.0.0.1:8081"
ARGS ?=
# How long each fuzz target runs.
FUZZ_SECONDS ?= 30

FONT := /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf=fonts-dejavu-core
FFMPEG := ffmpeg=ffmpeg ffprobe=ffmpeg $(FONT)
TEST_PROGRAMS := $(FFMPEG) chromium=chromium rtmpdump=rtmpdump gst-launch-1.0=gstreamer1.0-tools \
	gst:flvmux=gstreamer1.0-plugins-good gst:rtmp2sink=gstreamer1.0-plugins-bad gst:x264enc=gstreamer1.0-plugins-ugly \
	gst:avenc_aac=gstreamer1.0-libav python3=python3 pip3=python3-pip pg_ctlcluster=postgresql

## demo: serve with a live channel to look at
.PHONY: demo
demo: ffmpeg build
	$(TARGET)/release/millrace demo $(ARGS)

## run: serve
.PHONY: run
run: build
	$(TARGET)/release/millrace serve $(ARGS)

## build: the release binary, target/release/millrace
.PHONY: build
build: compilers web
	cargo build --locked --release --package millrace-server

## test: all tests: Rust, end to end, pages, browser
.PHONY: test
test: compilers web test-programs test-rust test-web

## check: format, lints, types, and all tests
.PHONY: check
check: lint test

## lint: format, clippy, and the pages' lints and types; no tests
.PHONY: lint
lint: compilers node-modules
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cd web && npm run --silent lint && npm run --silent check

## fmt: format the Rust code
.PHONY: fmt
fmt:
	cargo fmt --all

## clippy: clippy alone
.PHONY: clippy
clippy:
	cargo clippy --locked --workspace --all-targets -- -D warnings

## web: build the pages' scripts and styles
.PHONY: web
web: web/dist/manifest.json

## docs: make the pages that are generated from the code
.PHONY: docs
docs:
	cargo run --quiet --package millrace-server -- config-reference > $(TARGET)/configuration.md
	mv $(TARGET)/configuration.md docs/configuration.md

## audit: licences, bans and sources of dependencies, and known vulnerabilities
.PHONY: audit
audit: compilers $(TOOLS)/bin/cargo-deny
	scripts/audit

## fuzz: every fuzz target for FUZZ_SECONDS
.PHONY: fuzz
fuzz: compilers $(TOOLS)/bin/cargo-fuzz
	scripts/fuzz $(FUZZ_SECONDS)

## fuzz-api: the API, from its own description, by schemathesis
.PHONY: fuzz-api
fuzz-api:
	cargo build --locked -p millrace-server
	scripts/fuzz-api

## clean: remove everything that was built
.PHONY: clean
clean:
	cargo clean
	rm -rf web/dist web/node_modules

.PHONY: help
help:
	@sed -n 's/^## \([a-z-]*\): /  make \1\t/p' Makefile | expand -t 16

# Parts of the above.

# Tests of the site that meet its database, which the first run puts on PostgreSQL: the second on SQLite.
ON_BOTH := accounts admin channels comments leave mail pictures search tus uploads videos

# With a PostgreSQL of its own beside SQLite. This builds the server, too: its own tests need it, and the end-to-end tests take it from MILLRACE_BIN.
.PHONY: test-rust
test-rust:
	MILLRACE_BIN=$(TARGET)/debug/millrace MILLRACE_TEST_FFMPEG_CURRENT=$(TOOLS)/ffmpeg-current \
		scripts/with-postgres cargo test --locked --workspace
	cargo test --locked --workspace $(foreach test,$(ON_BOTH),--test $(test))

.PHONY: test-build
test-build: compilers web test-programs
	cargo test --locked --workspace --no-run

.PHONY: test-web
test-web: node-modules
	cd web && npm test --silent
	cd web && MILLRACE_BIN=$(TARGET)/debug/millrace PREVIEW_BIN=$(TARGET)/debug/examples/preview \
		MILLRACE_TEST_FFMPEG_CURRENT=$(TOOLS)/ffmpeg-current npm run --silent e2e

.PHONY: compilers
compilers:
	@scripts/need cc=build-essential
	@scripts/need-toolchains

.PHONY: ffmpeg
ffmpeg:
	@scripts/need $(FFMPEG)

.PHONY: test-programs
test-programs:
	@scripts/need $(TEST_PROGRAMS)
	@scripts/current-ffmpeg $(TOOLS)

.PHONY: node-modules
node-modules: web/node_modules/.package-lock.json

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	touch $@

# Tailwind reads the templates for the classes that they use.
WEB_SOURCES := $(shell find web/src web/build crates/site/templates -type f 2>/dev/null) \
	$(wildcard web/*.json web/*.js web/vite.config.ts)

web/dist/manifest.json: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run --silent build
	touch $@

$(TOOLS)/bin/cargo-deny:
	cargo install --locked --root $(TOOLS) cargo-deny --version 0.20.2

$(TOOLS)/bin/cargo-fuzz:
	cargo install --locked --root $(TOOLS) cargo-fuzz --version 0.13.2
