.PHONY: bootstrap run test bench bench-compare bench-tunnel fidelity lint picture

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

# Comparing beside count(*), the whole contents and other tools, on a pair of 8 million orders (25 GB of disk, 20 minutes).
bench-compare: bootstrap
	benches/compare/run

# Tunnels against konduit.sh's own flow, a direct connection and kubectl's port-forward, in one run (release build).
bench-tunnel: bootstrap
	cargo build --release --quiet
	benches/tunnel/run target/release/drtui

# Clients that nobody here wrote, against a sandbox.
fidelity: bootstrap
	scripts/fidelity/run

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

# docs/cockpit.svg, from the real screen.
picture: bootstrap
	scripts/screenshot
