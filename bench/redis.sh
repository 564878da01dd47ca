#!/usr/bin/env bash
# popbox on its Redis store beside a plain Redis that does the bare minimum of the same (RPUSH, BLPOP), by one load
# generator, in turn, in one run: waking, pushing, and pushing and popping back. Prints medians of ROUNDS rounds, ratios,
# and the processor time of each process for a message. Servers are started anew, and empty, for each measurement.
# Needs redis-server and redis-cli (Debian: apt-get install redis-server).
#
#     cargo build --release --workspace && bench/redis.sh
#
# STORE=embedded compares the embedded store (durability "interval") with the plain Redis instead.
set -euo pipefail
cd "$(dirname "$0")/.."

ROUNDS=${ROUNDS:-3}
SECONDS_EACH=${SECONDS_EACH:-5}
WAKE_SECONDS=${WAKE_SECONDS:-20}
WAITERS=${WAITERS:-10000}
RATE=${RATE:-1000}
STORE=${STORE:-redis}
binaries=${CARGO_TARGET_DIR:-target}/release
POPBOX=${POPBOX:-$binaries/popbox}
LOADTEST=${LOADTEST:-$binaries/popbox-loadtest}

ulimit -n "$(ulimit -Hn)"
folder=$(mktemp -d)
started=()
stop() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    started=()
}
trap 'stop; rm -rf "$folder"' EXIT

fail() {
    echo "$1" >&2
    exit 1
}

# Waits until a command succeeds; 20 s at most.
until_true() {
    for _ in $(seq 200); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    tail -n 20 "$folder"/*.out "$folder"/*.err >&2 || true
    fail "waited in vain for: $*"
}

free_port() { # the first to try
    local port=$1
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    echo "$port"
}

start_redis() { # sets redis_pid and redis_port
    redis_port=$(free_port "${REDIS_PORT:-6951}")
    redis-server --port "$redis_port" --save '' --appendonly no --maxclients 20000 --dir "$folder" \
        >"$folder/redis.out" 2>&1 &
    redis_pid=$!
    started+=("$redis_pid")
    until_true redis-cli -p "$redis_port" ping
}

start_popbox() { # sets popbox_pid and popbox_url, and those of its Redis
    local store
    if [ "$STORE" = embedded ]; then
        rm -rf "$folder/store"
        store=(--set "store.path=$folder/store" --set store.durability=interval)
    else
        start_redis
        store=(--set store.kind=redis --set "redis.queues=[\"redis://127.0.0.1:$redis_port/0\"]")
    fi
    "$POPBOX" --set server.listen=127.0.0.1:0 "${store[@]}" >"$folder/popbox.out" 2>&1 &
    popbox_pid=$!
    started+=("$popbox_pid")
    until_true grep -q '^popbox ready' "$folder/popbox.out"
    popbox_url=$(sed -n 's/^popbox ready on \([^ ]*\).*/\1/p' "$folder/popbox.out")
}

# Measures one thing against one of the two, and appends its fields to files that are named after both.
measure() { # popbox or plain, a name, command and arguments
    local whom=$1 name=$2 target pids key value
    shift 2
    if [ "$whom" = plain ]; then
        start_redis
        target=redis://127.0.0.1:$redis_port
        pids=(--pid "plain=$redis_pid")
    else
        start_popbox
        target=$popbox_url
        pids=(--pid "popbox=$popbox_pid")
        [ "$STORE" = embedded ] || pids+=(--pid "redis=$redis_pid")
    fi
    "$LOADTEST" "$@" --target "$target" "${pids[@]}" --json "$folder/run.json" >"$folder/run.out" 2>"$folder/run.err" ||
        fail "$whom, $name: $(tail -n 3 "$folder/run.err"; cat "$folder/run.out")"
    while IFS=$'\t' read -r key value; do
        echo "$value" >>"$folder/$name.$whom.$key"
    done < <(sed -n 's/^  "\([a-z0-9_.]*\)": \([0-9.]*\),\{0,1\}$/\1\t\2/p' "$folder/run.json")
    stop
}

median() { # a file; a dash if there is none
    if [ -f "$1" ]; then
        sort -n "$1" | awk '{ line[NR] = $1 } END { print line[int((NR + 1) / 2)] }'
    else
        echo -
    fi
}

row() { # label, name, key
    local ours theirs
    ours=$(median "$folder/$2.popbox.$3")
    theirs=$(median "$folder/$2.plain.$3")
    awk -v label="$1" -v ours="$ours" -v theirs="$theirs" 'BEGIN {
        ratio = theirs > 0 ? sprintf("%.2f", ours / theirs) : "-"
        printf "%-34s %12s %12s %7s\n", label, ours, theirs, ratio
    }'
}

processor() { # name
    local redis
    redis=$(median "$folder/$1.popbox.redis_processor_us_per_message")
    awk -v popbox="$(median "$folder/$1.popbox.popbox_processor_us_per_message")" -v redis="$redis" \
        -v plain="$(median "$folder/$1.plain.plain_processor_us_per_message")" 'BEGIN {
        both = redis == "-" ? popbox : popbox + redis
        printf "%-34s %12s %12s %7s\n", "  processor us/message", popbox " + " redis, plain,
            (plain > 0 ? sprintf("%.2f", both / plain) : "-")
    }'
}

connections_of_redis() { # our own does not count
    echo $(($(redis-cli -p "$redis_port" client list | wc -l) - 1))
}

for round in $(seq "$ROUNDS"); do
    echo "round $round of $ROUNDS" >&2
    for whom in plain popbox; do
        measure "$whom" wake wake --waiters "$WAITERS" --rate "$RATE" --duration "${WAKE_SECONDS}s"
        for connections in 32 256; do
            for command in push pair; do
                measure "$whom" "$command-$connections" "$command" --connections "$connections" \
                    --duration "${SECONDS_EACH}s"
            done
        done
    done
done

printf '%-34s %12s %12s %7s\n' "store: $STORE; medians of $ROUNDS" popbox 'plain Redis' ratio
for quantile in p50 p90 p99 p99.9 max; do
    row "wake, $WAITERS at $RATE/s, $quantile ms" wake "wake_ms_$quantile"
done
processor wake
for connections in 32 256; do
    row "push, $connections connections, /s" "push-$connections" pushed_per_second
    row "  p99 ms" "push-$connections" push_ms_p99
    processor "push-$connections"
    row "pair, $connections connections, /s" "pair-$connections" pairs_per_second
    row "  p99 ms" "pair-$connections" pair_ms_p99
    processor "pair-$connections"
done

start_popbox
[ "$STORE" = embedded ] || echo "Redis connections without waiters: $(connections_of_redis)"
"$LOADTEST" hold --waiters "$WAITERS" --duration 5s --target "$popbox_url" --pid "popbox=$popbox_pid" \
    >"$folder/hold.out" 2>"$folder/hold.err" &
holding=$!
started+=("$holding")
until_true grep -q -e measured -e cannot "$folder/hold.err"
[ "$STORE" = embedded ] || echo "Redis connections with $WAITERS waiters: $(connections_of_redis)"
wait "$holding" || fail "holding waiters: $(tail -n 1 "$folder/hold.err")"
sed -n 's/^popbox resident bytes per waiter *\(.*\)/resident bytes of popbox for each waiter: \1/p' "$folder/hold.out"
