#!/usr/bin/env bash
# Builds and runs all tests in build/, warnings as errors. Arguments go to ctest: tests/run.sh -R golden
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/packages.sh
need_packages g++=g++ cmake=cmake ninja=ninja-build libxsimd-dev libeigen3-dev catch2 nlohmann-json3-dev libcli11-dev \
  libpng-dev zlib1g-dev libboost-dev

log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake --preset dev -DDIFFUSION_BUILD_TESTS=ON -DDIFFUSION_BUILD_EXAMPLES=ON -DDIFFUSION_BUILD_BENCHMARKS=OFF >"$log" 2>&1 ||
  { cat "$log"; exit 1; }
cmake --build build
ctest --test-dir build --output-on-failure "$@"
