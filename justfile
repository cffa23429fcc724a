# The one gate: what CI runs, too.
check:
    bash .ci/run

# Only the tests.
test:
    cargo test --workspace

# Figures: micro-benchmarks, instructions of a whole call, then CPU per call beside a bare pass-through.
bench:
    cargo bench -p benches
    cargo test --release -p e2e --test instructions -- --nocapture
    cargo run --release -p benches --bin side-by-side

# Records the instructions of a call and its pieces as they are now; the gate holds later ones against them.
baseline:
    BASELINE=1 cargo test --release -p e2e --test instructions -- --nocapture

# Hours: what the gate only samples, in whole. Each part writes its figures into docs/reliability.md itself.
deep: crash load soak forecast page deploy arm64 fuzz-deep

# Kills, disk faults, power cuts, midnights and replicas that share totals, in an optimised build.
crash:
    DEEP=1 cargo test --release -p e2e --test ledger --test midnight --test share -- --nocapture --test-threads 1

# Crowds, bodies without end, slow clients, names without number, overload, a million mutated requests.
load:
    DEEP=1 cargo test --release -p e2e --test load -- --nocapture --test-threads 1
    DEEP=1 cargo test --release -p e2e --test http mutated:: -- --nocapture

# Half an hour of everything at once, a day of ten million calls, and what a whole call costs.
soak:
    DEEP=1 cargo test --release -p e2e --test soak --test simulated_day --test instructions -- --nocapture --test-threads 1

# What the heads of streams say beforehand, over simulated weeks.
forecast:
    DEEP=1 cargo test --release -p e2e --test metering forecast:: -- --nocapture

# The page in a real browser; the gate runs it too where Chromium is there already.
page:
    command -v chromium >/dev/null || apt-get install -y -qq chromium
    cargo test -p e2e --test page -- --nocapture

# The static archive of a target, with all that belongs to it, in target/dist.
release target="x86_64-unknown-linux-musl":
    bash deploy/release {{target}}

# Manifests, chart, unit and image put to the test; the image with a static binary, such as a release's.
deploy binary="":
    bash deploy/check {{binary}}

# Program, tests and image for arm64, on a machine that is none: needs Debian and root.
arm64:
    bash deploy/arm64

# The pictures of the README, from the running product: the page, and a terminal.
pictures: page
    cp target/page/page-light.png target/page/page-dark.png docs/images/
    cargo build -p app -p simulator --bins
    python3 docs/cast.py target/debug

# Each reader against random bytes, a minute of a processor each: needs cargo-fuzz. What is found stays in tests/fuzz/artifacts.
fuzz seconds="60":
    FUZZ_SECONDS={{seconds}} cargo test -p e2e --test fuzz -- --nocapture

# The same for four hours of one processor, all readers together.
fuzz-deep:
    DEEP=1 cargo test -p e2e --test fuzz -- --nocapture
