#!/usr/bin/env bash
# Compares two commits: prints how many instructions each of the server's pieces takes at the one and at the other.
# Needs what bench/instructions.sh needs.
#
#     bench/compare.sh main~20 main
#
# Both are measured by the bench of this checkout, uncommitted changes of it included. Where that does not compile with
# one of them, each is measured by its own, and then only pieces that are the same in both mean something.
# The dependencies are those of each commit's own Cargo.lock.
set -euo pipefail
if [ $# != 2 ]; then
    echo "usage: bench/compare.sh COMMIT COMMIT" >&2
    exit 2
fi
cd "$(dirname "$0")/.."
root=$PWD
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/bench/pieces/target}
# Always the same, so that builds of earlier runs are replaced and not left behind.
trees=$CARGO_TARGET_DIR/compare
log=$CARGO_TARGET_DIR/compare.log
sides=(a b)
commits=("$(git rev-parse --verify "$1^{commit}")" "$(git rev-parse --verify "$2^{commit}")")

remove_trees() {
    for side in "${sides[@]}"; do
        # One that a killed run has left may be registered and gone, or there and not registered.
        git worktree remove --force "$trees/$side" 2>/dev/null || rm -rf "${trees:?}/$side"
    done
}
trap remove_trees EXIT
remove_trees
mkdir -p "$trees"
for index in 0 1; do
    git worktree add --force --quiet --detach "$trees/${sides[$index]}" "${commits[$index]}"
done

compiles() { # side
    (cd "$trees/$1/bench/pieces" && cargo bench --quiet --features instructions --bench instructions --no-run) 2>"$log"
}

transplant() { # side
    rm -rf "$trees/$1/bench/pieces"
    git ls-files -z --cached --others --exclude-standard bench/pieces |
        tar --create --null --files-from - | tar --extract --directory "$trees/$1"
    cp "$trees/$1/Cargo.lock" "$trees/$1/bench/pieces/Cargo.lock"
    compiles "$1"
}

give_back() { # side, commit
    rm -rf "$trees/$1/bench/pieces"
    if ! git -C "$trees/$1" checkout --quiet HEAD -- bench/pieces 2>/dev/null; then
        echo "this bench does not compile with $2, which has none of its own; see $log" >&2
        exit 1
    fi
    compiles "$1" || { echo "the bench of $2 does not compile; see $log" >&2; exit 1; }
}

if transplant a && transplant b; then
    echo "measured by this checkout's bench"
else
    echo "measured by the bench of each commit, since this one does not compile with both"
    give_back a "$1"
    give_back b "$2"
fi
echo "A: $(git log -1 --format='%h %s' "${commits[0]}")"
echo "B: $(git log -1 --format='%h %s' "${commits[1]}")"
for side in "${sides[@]}"; do
    bench/instructions.sh "$trees/$side/bench/pieces" >"$trees/$side.txt"
done
awk '
    FNR == NR { a[$1 " " $2] = $3; next }
    FNR == 1 { printf "%-22s %-18s %12s %12s %7s\n", "piece", "", "A", "B", "B / A" }
    {
        piece = $1 " " $2
        if (piece in a) printf "%-22s %-18s %12d %12d %7.3f\n", $1, $2, a[piece], $3, $3 / a[piece]
        else printf "%-22s %-18s %12s %12d\n", $1, $2, "-", $3
        delete a[piece]
    }
    END { for (piece in a) { split(piece, name, " "); printf "%-22s %-18s %12d %12s\n", name[1], name[2], a[piece], "-" } }
' "$trees/a.txt" "$trees/b.txt"
