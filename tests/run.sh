#!/usr/bin/env bash
# Runs all tests, after installing what they need beside Rust. Debian and its kin; elsewhere install it yourself.
set -euo pipefail
cd "$(dirname "$0")/.."

# A C compiler, for the memory allocator and for what tests put under a server; Redis, for the store of that name and
# for what an old server left.
missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v openssl >/dev/null || missing+=(openssl)
command -v curl >/dev/null || missing+=(curl)
command -v python3 >/dev/null || missing+=(python3)
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    $as_root apt-get -qq update >/dev/null
    DEBIAN_FRONTEND=noninteractive $as_root apt-get -qq install -y "${missing[@]}" >/dev/null
fi

# What tests of the history write to; or set MONGODB_URI to a MongoDB where databases may be made.
secantus=${POPBOX_SECANTUS:-target/secantus}
if [ -z "${MONGODB_URI:-}" ] && [ ! -x "$secantus/bin/secantusd-py" ]; then
    python3 -m venv "$secantus"
    "$secantus/bin/pip" -q install secantusdb==0.7.0b3
fi

# Each test starts servers of its own; those and their connections are many.
ulimit -n "$(ulimit -Hn)"
cargo test --workspace "$@"

# The same contract over the other store: one Redis server, several, and several servers of popbox.
if [ $# = 0 ]; then
    for layout in redis redis-shards redis-agents; do
        echo "The suite on $layout:"
        POPBOX_TEST_LAYOUT=$layout cargo test --test suite --test migrate
    done
fi
