#!/usr/bin/env bash
# Prints how many instructions the server's pieces take, each for one operation, as valgrind counts them. They are the
# same from run to run within 0.2 %, whatever else the machine does.
# Needs valgrind (Debian: apt-get install valgrind). The runner that the bench needs is built once, into its target/.
#
#     bench/instructions.sh
#
# With a folder, that of another checkout's bench/pieces, it is run there. What callgrind wrote stays in
# target/gungraun for callgrind_annotate.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
package=$(cd "${1:-$root/bench/pieces}" && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/bench/pieces/target}

if ! command -v valgrind >/dev/null; then
    echo "valgrind is missing; install it (on Debian: apt-get install valgrind)" >&2
    exit 1
fi
version=$(sed -n 's/^gungraun = "=\(.*\)"$/\1/p' "$package/Cargo.toml")
repeats=$(sed -n 's/^pub const REPEATS: usize = \([0-9]*\);$/\1/p' "$package/src/lib.rs")
runner=$CARGO_TARGET_DIR/runner-$version
if [ ! -x "$runner/bin/gungraun-runner" ]; then
    echo "building gungraun-runner $version" >&2
    # Its place in no PATH is as meant.
    PATH="$PATH:$runner/bin" cargo install --quiet --locked --root "$runner" --version "$version" gungraun-runner
fi
home=$CARGO_TARGET_DIR/gungraun
# Else each figure came with that of the run before.
rm -rf "$home"

cd "$package"
cargo bench --quiet --features instructions --bench instructions --no-run
GUNGRAUN_RUNNER=$runner/bin/gungraun-runner \
    cargo bench --quiet --features instructions --bench instructions -- --output-format=json --home "$home" |
    sed -E 's/^.*"function_name":"([^"]*)".*"id":"([^"]*)".*"total":\{"metrics":\{.*"Ir":\{"values":\{"new":([0-9]+).*$/\1 \2 \3/' |
    awk -v repeats="$repeats" '
        NF != 3 { print "not understood: " substr($0, 1, 200) >"/dev/stderr"; failed = 1; next }
        { printf "%-22s %-18s %12.0f\n", $1, $2, $3 / repeats }
        END { exit failed }'
