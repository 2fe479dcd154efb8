#!/usr/bin/env bash
# Measures the errors of all samplers and draws them: docs/images/samplers.png, and the table on the terminal. About
# half a minute, most of it to compile.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
source "$root/.ci/packages.sh"
need_packages g++=g++ libxsimd-dev python3=python3 python3-matplotlib

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"
g++ -std=c++20 -O2 -march=native -Iinclude examples/06_sampler_errors/main.cpp -o "$work/errors"
"$work/errors" >"$work/errors.csv"
/usr/bin/python3 examples/06_sampler_errors/draw.py "$work/errors.csv" docs/images/samplers.png
