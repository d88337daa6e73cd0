# What the load scripts have in common. Sourced, not run.
# shellcheck shell=bash

url=
shards=1
report=target/load
rest=()
server_pid=

# Reads the options that all scripts have; what is not among them is kept in `rest`.
read_load_options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --url) url=$2 && shift 2 ;;
        --shards) shards=$2 && shift 2 ;;
        --report) report=$2 && shift 2 ;;
        *) rest+=("$1") && shift ;;
        esac
    done
    mkdir -p "$report"
}

# Takes an option with its value out of `rest` into a variable: take VARIABLE --option DEFAULT.
take() {
    local variable=$1 name=$2 index
    printf -v "$variable" %s "$3"
    for index in "${!rest[@]}"; do
        if [ "${rest[$index]}" = "$name" ]; then
            printf -v "$variable" %s "${rest[$((index + 1))]}"
            unset "rest[$index]" "rest[$((index + 1))]"
            rest=("${rest[@]}")
            return
        fi
    done
}

# The same for one without a value: 1, or nothing.
take_flag() {
    local variable=$1 name=$2 index
    printf -v "$variable" %s ""
    for index in "${!rest[@]}"; do
        if [ "${rest[$index]}" = "$name" ]; then
            printf -v "$variable" 1
            unset "rest[$index]"
            rest=("${rest[@]}")
            return
        fi
    done
}

# Builds both, and starts a server on free ports unless there is one. It gets the first cores, the generator the others.
start_server() {
    need_build_tools
    need_packages util-linux python3
    cargo build --release --locked --quiet -p oneport -p oneport-load
    local cores
    cores=$(nproc)
    generator_cpus=0-$((cores - 1))
    if [ -n "$url" ]; then
        return
    fi
    local ports=()
    mapfile -t ports < <(python3 -c '
import socket
sockets = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
for one in sockets:
    one.bind(("127.0.0.1", 0))
    print(one.getsockname()[1])')
    local server_cpus=0-$((shards - 1))
    [ "$cores" -gt "$shards" ] && generator_cpus=$shards-$((cores - 1))
    ulimit -n "$(ulimit -Hn)"
    taskset -c "$server_cpus" target/release/oneport serve --http "127.0.0.1:${ports[0]}" --media "127.0.0.1:${ports[1]}" \
        --shards "$shards" "$@" >"$report/server.log" 2>&1 &
    server_pid=$!
    trap 'kill "$server_pid" 2>/dev/null || true' EXIT
    url=http://127.0.0.1:${ports[0]}
    for _ in $(seq 100); do
        is_ready "$url" && return
        sleep 0.1
    done
    echo "the server did not start; its log is $report/server.log" >&2
    exit 1
}

stop_server() {
    kill "$server_pid" && wait "$server_pid" 2>/dev/null || true
    url='' server_pid=''
}

is_ready() {
    python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + "/readyz", timeout=1)' "$1" 2>/dev/null
}

# Runs oneport-load against the server; name of the report, then its options. Its exit code is the verdict.
load() {
    local name=$1
    shift
    local watch=()
    [ -n "$server_pid" ] && watch=(--watch "$server_pid")
    local threads
    threads=$(($(nproc) > shards ? $(nproc) - shards : 1))
    taskset -c "$generator_cpus" target/release/oneport-load --whip "$url/whip/load/s{n}" --whep "$url/whep/load/s{n}" "${watch[@]}" \
        --threads "$threads" --json "$report/$name.json" --html "$report/$name.html" "$@" "${rest[@]}"
}

# A member of a report.
figure() {
    python3 -c 'import json, sys
value = json.load(open(sys.argv[1]))
for part in sys.argv[2].split("."):
    value = value[part]
print(value)' "$report/$1.json" "$2"
}

# Ends with the verdict: says it, and where the report is.
verdict() {
    local name=$1 status=$2
    echo
    if [ "$status" -eq 0 ]; then echo "$name: passed"; else echo "$name: FAILED"; fi
    echo "report: $report/$name.html, $report/$name.json"
    exit "$status"
}
