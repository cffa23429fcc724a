# The one gate: what CI runs, too.
check:
    bash .ci/run

# Only the tests.
test:
    cargo test --workspace

# Figures: micro-benchmarks, then CPU per call beside a bare pass-through.
bench:
    cargo bench -p benches
    cargo run --release -p benches --bin side-by-side
