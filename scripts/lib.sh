# What the scripts have in common. Sourced, not run.
# shellcheck shell=bash

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Runs a command as root: as it is for root, by sudo for anybody else.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "$0: this needs root or sudo: $*" >&2
        return 1
    fi
}

# Installs Debian packages that are not there; does nothing, and asks nobody, when all are.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ "${#missing[@]}" -eq 0 ] && return 0
    if ! command -v apt-get >/dev/null; then
        echo "$0: install these first: ${missing[*]}" >&2
        return 1
    fi
    echo "installing ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What building needs beside Rust and a C compiler: OpenSSL is built from source, by perl and make.
need_build_tools() {
    if ! command -v cargo >/dev/null; then
        echo "$0: cargo is missing; install Rust from https://rustup.rs" >&2
        return 1
    fi
    need_packages gcc libc6-dev make perl
}

# Prints the comment at the top of the script, for --help.
help_if_asked() {
    case "${1:-}" in
    -h | --help)
        sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$root/scripts/$(basename "$0")"
        exit 0
        ;;
    esac
}
