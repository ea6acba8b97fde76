# Daily commands. Each is one line that can be typed without just as well;
# CONTRIBUTING.md says what they are for.

# What there is.
default:
    @just --list

# Four replicas, one of them lying, and real work.
demo *ARGS:
    cargo run --release --quiet -- demo {{ARGS}}

# A cluster to play with.
dev *ARGS:
    cargo run --release --quiet -- dev {{ARGS}}

# All tests.
test *ARGS:
    cargo test --workspace {{ARGS}}

# What the gate refuses: spelling of the code, lints.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# What the gate refuses of dependencies: unused ones, licences, two versions, known holes.
deps:
    cargo machete --with-metadata --skip-target-dir
    cargo deny --all-features check --hide-inclusion-graph

# Spell the code as the gate wants it.
fmt:
    cargo fmt --all

# Rebuild the recipes' modules and compare them with the committed ones.
recipes:
    cargo xtask recipes check

# Plant the known bugs, all or those with a word, and see that the tests notice.
mutants *ARGS:
    cargo xtask mutants {{ARGS}}

# One measurement, as the figures of record are taken.
bench *ARGS:
    cargo run --release --quiet -- bench {{ARGS}}

# Useful throughput under every attack, three runs each: the table of docs/performance.md.
attacks *ARGS:
    cargo run --release --quiet -- bench pair --clients 50 --warmup 1 --seconds 3 --attack every --attack-seconds 5 --attack-after 5 --attack-runs 3 --timeout 60s {{ARGS}}

# Everything the gate does, in its order.
ci:
    .ci/run
