#!/usr/bin/env bash
# Pushes a second, beside Redis doing RPUSH of the same payload with the same durability, in turn on one machine.
# Prints the median of ROUNDS rounds and the ratio. Needs wrk and redis-server (Debian: apt-get install wrk redis-server).
#
#     cargo build --release && bench/pushes.sh
set -euo pipefail
cd "$(dirname "$0")/.."

ROUNDS=${ROUNDS:-5}
SECONDS_EACH=${SECONDS_EACH:-4}
POPBOX_PORT=${POPBOX_PORT:-3901}
REDIS_PORT=${REDIS_PORT:-6399}
folder=$(mktemp -d)
payload=$(head -c 200 /dev/zero | tr '\0' x)
started=()
stop() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    started=()
}
trap 'stop; rm -rf "$folder"' EXIT

cat >"$folder/push.lua" <<LUA
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"payload":"$payload","priority":"H","queue":[{"id":"bench"}]}'
LUA

median() { sort -n | awk '{ line[NR] = $1 } END { print line[int((NR + 1) / 2)] }'; }

popbox_rate() { # connections
    wrk -c "$1" -t 1 -d "${SECONDS_EACH}s" -s "$folder/push.lua" "http://127.0.0.1:$POPBOX_PORT/trans" |
        awk '/Non-2xx/ { print "refused requests" >"/dev/stderr" } /Requests\/sec/ { print $2 }'
}

redis_rate() { # connections, requests
    redis-benchmark -p "$REDIS_PORT" -c "$1" -n "$2" -q RPUSH bench "$payload" 2>/dev/null |
        tr '\r' '\n' | sed -n 's/.*: \([0-9.]*\) requests per second.*/\1/p' | tail -n 1
}

printf '%-10s %11s %14s %14s %7s\n' durability connections 'popbox/s' 'redis/s' ratio
for durability in sync interval; do
    fsync=$([ "$durability" = sync ] && echo always || echo everysec)
    rm -rf "$folder/popbox" "$folder/redis"
    mkdir "$folder/redis"
    target/release/popbox --set "server.listen=127.0.0.1:$POPBOX_PORT" --set "store.path=$folder/popbox" \
        --set "store.durability=$durability" >"$folder/popbox.out" 2>&1 &
    started+=($!)
    redis-server --port "$REDIS_PORT" --appendonly yes --appendfsync "$fsync" --save '' --dir "$folder/redis" \
        >"$folder/redis.out" 2>&1 &
    started+=($!)
    until grep -q 'popbox ready' "$folder/popbox.out"; do sleep 0.1; done
    until redis-cli -p "$REDIS_PORT" ping >/dev/null 2>&1; do sleep 0.1; done
    for connections in 32 1000; do
        # As many requests as make about as long a run.
        requests=$(redis_rate "$connections" 20000 | awk -v s="$SECONDS_EACH" '{ print int($1 * s) + 1000 }')
        popbox_rate "$connections" >/dev/null
        : >"$folder/ours"
        : >"$folder/theirs"
        for _ in $(seq "$ROUNDS"); do
            popbox_rate "$connections" >>"$folder/ours"
            redis_rate "$connections" "$requests" >>"$folder/theirs"
        done
        ours=$(median <"$folder/ours")
        theirs=$(median <"$folder/theirs")
        printf '%-10s %11s %14.0f %14.0f %7.2f\n' "$durability" "$connections" "$ours" "$theirs" \
            "$(awk -v a="$ours" -v b="$theirs" 'BEGIN { print a / b }')"
    done
    stop
done
