#!/usr/bin/env bash
# Makes .venv and installs into it. `setup.sh run` is what the gateway needs, `setup.sh dev` adds the
# tests' and checks' packages. Versions come from constraints.txt. Stamp files tell make that it is done.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
part=${1:?run or dev}

stop() {
    printf '%s\n' "$@" >&2
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

can_make_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# Microseconds that it takes to walk through a loop of calls, dictionaries and texts, the best of five.
microseconds() {
    "$1" -c '
import time

def walk():
    found = {}
    for number in range(100_000):
        found[number & 1023] = (number, str(number))
        number = found[number & 1023][0] + 1

def once():
    began = time.process_time()
    walk()
    return time.process_time() - began

print(int(min(once() for _ in range(5)) * 1e6))'
}

# A Python built without profile-guided optimisation (what pyenv makes unless told otherwise) costs every request
# a quarter more. Where the system has its own beside the one on the path, the clearly faster one is taken.
faster_of() {
    local usual=$1 other=$2
    if is_new_enough "$other" && can_make_venv "$other" &&
        [ $(($(microseconds "$other") * 10)) -lt $(($(microseconds "$usual") * 9)) ]; then
        echo "$other"
    else
        echo "$usual"
    fi
}

# As root on a Debian system: install. Otherwise: say what to type.
need_packages() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing $* with apt-get"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    else
        stop "Missing: $*" "Install it (sudo apt-get install $*), then run make again."
    fi
}

make_venv() {
    local python package=python3-venv
    python=$(find_python) || { need_packages python3 python3-venv; python=$(find_python); } ||
        stop "Headgate needs Python 3.11 or newer and found none." "Install one, or name it: PYTHON=/path/to/python3 make"
    if ! can_make_venv "$python"; then
        case $python in python3.*) package=$python-venv ;; esac
        need_packages "$package"
    fi
    if [ -z "${PYTHON:-}" ]; then
        python=$(faster_of "$python" /usr/bin/python3)
    fi
    echo "Making $venv with $("$python" --version), $(command -v "$python")"
    "$python" -m venv --clear "$venv"
}

install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$@"
}

if ! is_new_enough "$venv/bin/python"; then
    make_venv
fi
# Groups of pyproject.toml are known to pip from 25.1 on; Debian's is older.
install 'pip>=25.3'
case $part in
    run)
        echo "Installing headgate and what it needs into $venv"
        install --build-constraint constraints.txt --editable .
        ;;
    dev)
        echo "Installing what the tests and checks need into $venv"
        install --group test --group lint
        ;;
    *) stop "setup.sh: unknown part $part" ;;
esac
touch "$venv/.$part"
