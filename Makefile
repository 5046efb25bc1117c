.PHONY: bootstrap run test bench fidelity lint picture

# A small world on loopback, and the cockpit on it.
run: bootstrap
	cargo run --quiet -- sandbox

# Installs PostgreSQL if it is missing, and says so.
bootstrap:
	@scripts/bootstrap

test: bootstrap
	cargo test

# The promised numbers, measured here and now (release build); ends with 1 when one is missed.
bench: bootstrap
	cargo bench --quiet --bench cockpit

# Clients that nobody here wrote, against a sandbox.
fidelity: bootstrap
	scripts/fidelity/run

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

# docs/cockpit.svg, from the real screen.
picture: bootstrap
	scripts/screenshot
