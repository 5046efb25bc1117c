.PHONY: run test bench lint
run:
	cargo run --quiet -- sandbox
test:
	cargo test
lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
