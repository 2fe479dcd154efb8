#!/usr/bin/env bash
# Builds build/benchmarks/diffusion_bench, runs it, and writes medians and ratios as docs/benchmarks.md and
# docs/images/benchmarks.png. About ten minutes on an otherwise idle machine.
#   benchmarks/run.sh [--libtorch] [OPTIONS OF GOOGLE BENCHMARK...]
# --libtorch compares with libtorch, too (installs Debian's libtorch-dev). With --benchmark_filter=REGEX only the
# table is printed, nothing is written into docs/.
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/packages.sh
need_packages g++=g++ cmake=cmake ninja=ninja-build libxsimd-dev libeigen3-dev libbenchmark-dev python3=python3

libtorch=OFF
if [ "${1:-}" = --libtorch ]; then
  shift
  libtorch=ON
  need_packages libtorch-dev
fi
log=$(mktemp) results=$(mktemp)
trap 'rm -f "$log" "$results"' EXIT
cmake --preset dev -DDIFFUSION_BUILD_BENCHMARKS=ON -DDIFFUSION_BENCH_LIBTORCH=$libtorch >"$log" 2>&1 || { cat "$log"; exit 1; }
cmake --build build --target diffusion_bench

build/benchmarks/diffusion_bench --benchmark_repetitions=5 --benchmark_min_time=0.05 --benchmark_out="$results" --benchmark_out_format=json "$@" |
  sed -u -n 's/_median .*//p'
if [[ "$*" == *--benchmark_filter* ]]; then
  python3 benchmarks/report.py "$results"
else
  need_packages python3-matplotlib
  /usr/bin/python3 benchmarks/report.py "$results" --write docs/benchmarks.md docs/images/benchmarks.png
  echo "Wrote docs/benchmarks.md and docs/images/benchmarks.png"
fi
