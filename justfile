# Every task of this project. `./justw` runs it on a machine without `just`.
set shell := ["bash", "-euo", "pipefail", "-c"]

# Builds are kept outside the tree, so that a fresh clone starts warm.
cache := env("FLOE_CACHE", env("XDG_CACHE_HOME", home_directory() / ".cache") / "floe-telemetry")
export CARGO_TARGET_DIR := env("CARGO_TARGET_DIR", cache / "target")

# Python's packages by their lock; our own package, as its wheel installs it, by this clone.
venv := cache / "venv-" + replace_regex(sha256_file("tests/requirements.txt"), '^(.{16}).*$', '$1')
site := cache / "site-" + replace_regex(sha256(justfile_directory()), '^(.{16}).*$', '$1')
python := venv / "bin/python"
export PYTHONPATH := site

# What is sent to this machine needs no proxy.
export NO_PROXY := trim_start_match(env("NO_PROXY", "") + ",127.0.0.1,localhost", ",")
export no_proxy := NO_PROXY

# The one component, for the Rust hosts' build and for the wheel.
component := CARGO_TARGET_DIR / "component/wasm32-unknown-unknown/component/floe_policy.wasm"
export FLOE_POLICY_COMPONENT := component

# What conformance is tested with: one service on the Rust host, another in tests/conformance/service.py.
conformance-service := CARGO_TARGET_DIR / "debug/floe-telemetry-conformance"

# Lists the tasks.
[private]
default:
    @just --list --unsorted

# Runs the example pipeline and shows its one trace. Arguments: --fail, --endpoint URL --protocol grpc|http, --verbose
demo *ARGS: _cli _python
    @{{CARGO_TARGET_DIR}}/debug/floe-telemetry demo --python {{python}} {{ARGS}}

# Checks and tests everything; what CI runs.
test: check test-rust test-python test-registry test-third-party conformance end-to-end test-backends

# Formats, lints and types, in both languages.
check: _policy _python
    cargo fmt --check
    cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
    cargo clippy --locked --workspace --all-targets -- -D warnings
    CUSTOM_LIBFUZZER_PATH=/none cargo clippy --locked --manifest-path tests/fuzz/Cargo.toml --all-targets -- -D warnings
    {{python}} -m ruff format --check .
    {{python}} -m ruff check .
    cd adapters/python && {{python}} -m mypy
    {{python}} -m mypy --strict --explicit-package-bases examples/pipeline/sales_pipeline
    MYPYPATH=tests/end_to_end:tests/conformance:tests/benchmarks/python/bare {{python}} -m mypy --strict tests/end_to_end/*.py tests/conformance/*.py tests/component/*.py tests/benchmarks/python/*.py tests/benchmarks/python/bare/*.py
    cd tests/backends && {{python}} -m mypy --strict *.py
    cd tests/registry && MYPYPATH={{justfile_directory()}}/adapters/python/src {{python}} -m mypy --strict *.py
    MYPYPATH=tests/third_party {{python}} -m mypy --strict tests/third_party/evil.py tests/third_party/test_third_party.py

# Puts the code in the project's format.
format: _python
    cargo fmt
    cargo fmt --manifest-path tests/fuzz/Cargo.toml
    {{python}} -m ruff format .
    {{python}} -m ruff check --fix .

# The Rust tests: policy, hosts, command, and the vectors natively and through the component.
test-rust: _policy
    cargo test --locked --workspace

# The Python package's tests, the vectors among them.
test-python *ARGS: _python
    cd adapters/python && PATH={{site}}/bin:$PATH {{python}} -m pytest {{ARGS}}

# The semantic conventions, held against what the policy and the hosts say.
test-registry: _python
    {{python}} -m pytest tests/registry

# Writes docs/conventions.md, of tests/registry.
conventions: _python
    {{python}} tests/registry/registry.py > docs/conventions.md

# A third party's backend, written in Python, and ones that misbehave.
test-third-party *ARGS: _python
    {{python}} -m pytest tests/third_party {{ARGS}}

# Every backend through the newest real Collector: validated, and passed on to a stand-in of the backend.
test-backends *ARGS: _cli _python
    FLOE_OTELCOL_FULL=$(tests/collector/build.sh full) FLOE_CLI={{CARGO_TARGET_DIR}}/debug/floe-telemetry \
    {{python}} -m pytest tests/backends {{ARGS}}

# Prints backend x signal x accepted by the newest Collector and by one from before the renames x passed on, as measured.
backends: _cli _python
    @FLOE_CLI={{CARGO_TARGET_DIR}}/debug/floe-telemetry {{python}} tests/backends/table.py \
        $(tests/collector/build.sh full) $(tests/collector/build.sh before-renames)

# W3C Trace Context on the wire, by a service on each host.
conformance *ARGS: _conformance _python
    FLOE_CONFORMANCE={{conformance-service}} {{python}} -m pytest tests/conformance {{ARGS}}

# The example pipeline, and a fleet of two services, through a real Collector.
end-to-end *ARGS: _cli _conformance _python
    collector=$(tests/collector/build.sh); \
    FLOE_OTELCOL=$collector FLOE_CLI={{CARGO_TARGET_DIR}}/debug/floe-telemetry FLOE_CONFORMANCE={{conformance-service}} \
    PYTHONPATH=$PYTHONPATH:tests/conformance {{python}} -m pytest tests/end_to_end {{ARGS}}

# The service that W3C's trace-context harness calls, on the host `rust` or `python`, until it is interrupted. See docs/conformance.md
w3c-service HOST PORT: _conformance _python
    @exec {{ if HOST == "rust" { conformance-service } else if HOST == "python" { python + " tests/conformance/service.py" } else { error("the hosts are rust and python") } }} {{PORT}}

# Writes what is made from the manifest's settings: the JSON Schema, and the table of docs/manifest.md.
schema:
    cargo run --locked --quiet --package floe-telemetry-policy --example schema > {{cache}}/schema.json && mv {{cache}}/schema.json schema/manifest.schema.json
    sed -i '/^| setting | default |/,$d' docs/manifest.md
    cargo run --locked --quiet --package floe-telemetry-policy --example schema -- markdown >> docs/manifest.md

# Builds the components and prints the policy's path; the backends are beside it.
policy:
    @guest/build.sh

# Builds the component with cargo-component as well and compares the exports of the two.
component: _python
    tests/component/compare.sh {{python}} {{component}}

# Builds the Collector of the end-to-end tests, or finds one, and prints its path. Arguments: full, or before-renames
collector *WHICH:
    @tests/collector/build.sh {{WHICH}}

# Gives every parser odd input for so many seconds each and checks that its laws hold. Arguments: names of targets of tests/fuzz
fuzz SECONDS='20' *TARGETS='':
    tests/fuzz/run.sh {{cache}} {{SECONDS}} {{TARGETS}}

# What telemetry costs, as ratios to the bare SDK.
bench: _policy _python
    cargo run --locked --release --package floe-telemetry-benchmarks
    {{python}} tests/benchmarks/python/bench.py

# What telemetry costs dbt and Dagster: whole processes without it, with the bare SDK and with floe, in turns. Arguments: --rounds N, --only dbt|dagster
bench-tools *ARGS: _python
    {{python}} tests/benchmarks/python/tools.py {{ARGS}}

# The command line program, optimised; prints its path.
build: _policy
    cargo build --locked --release --package floe-telemetry-cli >&2
    @echo {{CARGO_TARGET_DIR}}/release/floe-telemetry

# The Python wheel, with the component in it, into dist/.
wheel: _python
    {{python}} -m build --no-isolation --wheel --outdir dist adapters/python

# The command as a wheel for this platform, into dist/. PROFILE: release, or dev for a quick one.
wheel-cli PROFILE='release': _policy
    tests/package/wheel.sh {{cache}} {{PROFILE}} dist

# The crates, with the component in them, into the target directory's package/: each is built from its package alone.
package: _policy
    tests/package/crates.sh {{component}}
    env -u FLOE_POLICY_COMPONENT cargo package --locked --workspace --allow-dirty

# The packages as their users have them: the command's wheel in a fresh environment, and a program against the crates outside this tree.
test-package: _policy
    tests/package/test_wheel.sh {{cache}} {{component}}
    tests/package/test_crates.sh {{component}}

# Pins Python's packages anew. Rust's are in Cargo.lock.
lock:
    {{python}} -m uv pip compile --generate-hashes --universal --python-version 3.11 --only-binary :all: --no-strip-extras --no-emit-index-url --no-emit-find-links --custom-compile-command 'just lock' --output-file tests/requirements.txt tests/requirements.in

_policy:
    @guest/build.sh >/dev/null

# The features of dependencies are those that `cargo test --workspace` builds with, because an example is among them: nothing is compiled twice.
_cli: _policy
    @cargo build --locked --quiet --workspace --bin floe-telemetry --example schema

_conformance: _policy
    @cargo build --locked --quiet --workspace --bin floe-telemetry-conformance --example schema

_python: _policy
    @tests/python.sh {{venv}} {{site}} {{component}}
