.PHONY: bootstrap run test bench lint
run: bootstrap
	cargo run --quiet -- sandbox
# Installs PostgreSQL if it is missing, and says so.
bootstrap:
	@scripts/bootstrap
test: bootstrap
	cargo test
lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
