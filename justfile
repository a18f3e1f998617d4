# Short names for what people do here. Each recipe is a plain command that also works without `just`.

_default:
    @just --list --unsorted

# Run the whiteboard: open it in two windows
whiteboard *args:
    cargo run -p whiteboard -- {{ args }}

# Run the two transports and the client side by side, in a page
side-by-side:
    cargo run -p side-by-side

# Run the smallest application
hello:
    cargo run -p hello

# Run two nodes behind a balancer, over NATS; `examples/cluster/moved.py` is a client that is moved between them
cluster *ports:
    examples/cluster/run.py {{ ports }}

# Run everything that must hold before a change lands, or only the steps named
test *steps:
    tests/run {{ steps }}

# Run the contract: every behaviour that both transports promise, over each of them
contract *args:
    cargo test -p dualcast-tests {{ args }}

# Check the browser client: types, size, tests, and the npm package
client:
    tests/run client

# Search the interleavings of publish, read and evict for one that loses a message
shuttle:
    tests/run concurrency

# Count the instructions of a delivery and of a resume, and hold them against those written down
instructions:
    tests/run instructions

# Hold examples/raw-echo to RFC 6455, by Autobahn
autobahn:
    tests/run autobahn

# Look for bytes that break a parser or a session: `just fuzz ws_session 600`
fuzz *args:
    tests/fuzz/run {{ args }}

# Run the tests in Chromium and Firefox, and with curl
browsers:
    tests/run browsers

# Measure Dualcast against the machine's limit and against others, and print a table (an hour; `--quick`: three minutes)
bench *args:
    crates/bench/run {{ args }}

# Measure what each proxy does to both transports, and put it into docs/proxies.md (two minutes)
proxies:
    node tests/proxies/matrix.mjs
    docs/comparison/proxies.py

# Compare the transports side by side, for docs/comparison.md (nine minutes; `--quick`: one, and nothing is written there)
compare *args:
    crates/bench/compare {{ args }}

# Make the screenshots of the README and of the guides anew
screenshot:
    cd tests/browser && node screenshot.mjs && node screenshots-whiteboard.mjs

# Format the code
fmt:
    cargo fmt --all

# Check format, spelling, dependencies, Rust version and lints
lint:
    tests/run format spelling dependencies msrv clippy

# Build the documentation and open it
doc:
    cargo doc --workspace --no-deps --open
