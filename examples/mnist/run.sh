#!/usr/bin/env bash
# Builds the MNIST program and runs it. Without arguments it samples a grid of digits from the bundled weights;
# arguments go to the program: examples/mnist/run.sh train --epochs 1
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
source "$root/.ci/packages.sh"
need_packages g++=g++ cmake=cmake ninja=ninja-build libxsimd-dev libeigen3-dev nlohmann-json3-dev libcli11-dev \
  libpng-dev zlib1g-dev libboost-dev

build=$root/build-mnist
if [ -x "$root/build/examples/mnist/mnist" ]; then build=$root/build; fi  # tests/run.sh has built it already
log=$(mktemp)
trap 'rm -f "$log"' EXIT
configure() {
  [ "$build" = "$root/build" ] ||
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDIFFUSION_BUILD_EXAMPLES=ON \
      -DDIFFUSION_BUILD_TESTS=OFF -DDIFFUSION_BUILD_BENCHMARKS=OFF
}
{ configure && { echo "Building the MNIST example (two to four minutes the first time)" >&2; cmake --build "$build" --target mnist; }; } \
  >"$log" || { cat "$log" >&2; exit 1; }
rm -f "$log"
exec "$build/examples/mnist/mnist" "${@:-sample}"
