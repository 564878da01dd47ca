#!/usr/bin/env bash
# Runs all tests, after installing what they need beside Rust. Debian and its kin; elsewhere install it yourself.
set -euo pipefail
cd "$(dirname "$0")/.."

# A C compiler, for the memory allocator.
if ! command -v cc >/dev/null; then
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    $as_root apt-get -qq update >/dev/null
    DEBIAN_FRONTEND=noninteractive $as_root apt-get -qq install -y gcc libc6-dev >/dev/null
fi

# Each test starts servers of its own; those and their connections are many.
ulimit -n "$(ulimit -Hn)"
cargo test "$@"
