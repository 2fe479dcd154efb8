#!/usr/bin/env bash
# Builds noise_bits.cpp with the compilers, optimisation levels and instruction sets at hand and runs what this
# machine can run: each must find the same bits.
#   run.sh DIRECTORY_OF_DIFFUSION DIRECTORY_OF_XSIMD [all]
# Without `all` the builds that differ most.
set -euo pipefail
include=${1:?directory of diffusion/} xsimd=${2:?directory of xsimd/} all=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$xsimd/xsimd" "$work/xsimd"  # alone: a system directory would bring the host's headers into a cross build
ran=0 failed=0

# try LABEL RUNNER COMPILER FLAGS...
try() {
  local label=$1 runner=$2
  shift 2
  if ! "$@" -std=c++20 -I "$include" -isystem "$work" "$here/noise_bits.cpp" -o "$work/bits" 2>"$work/log"; then
    echo "FAILED to build: $label" && grep -m 3 error "$work/log" && failed=$((failed + 1)) && return
  fi
  if [ "$runner" = skip ]; then
    echo "$label: built; this processor cannot run it"
  else
    printf '%s: ' "$label"
    # shellcheck disable=SC2086
    $runner "$work/bits" || failed=$((failed + 1))
    ran=$((ran + 1))
  fi
}

can() {
  local flag
  for flag in "$@"; do grep -qw "$flag" /proc/cpuinfo || return 1; done
}
here_or_skip() { if can "$@"; then echo env; else echo skip; fi; }

if [ "$(uname -m)" = x86_64 ]; then
  for compiler in g++ clang++; do
    command -v $compiler >/dev/null || { echo "$compiler: not installed"; continue; }
    try "$compiler -O0, SSE2" env $compiler -O0
    if [ -n "$all" ]; then
      try "$compiler -O3, SSE2" env $compiler -O3
      try "$compiler -O3, AVX" "$(here_or_skip avx)" $compiler -O3 -mavx
      try "$compiler -O2, AVX2" "$(here_or_skip avx2)" $compiler -O2 -mavx2
      try "$compiler -O0, AVX2 + FMA" "$(here_or_skip avx2 fma)" $compiler -O0 -mavx2 -mfma
    fi
    try "$compiler -O3, AVX2 + FMA, free contraction" "$(here_or_skip avx2 fma)" \
      $compiler -O3 -mavx2 -mfma -ffp-contract=fast
    try "$compiler -O3, AVX-512" "$(here_or_skip avx512f avx512cd avx512bw avx512dq avx512vl)" \
      $compiler -O3 -march=skylake-avx512 -ffp-contract=fast
  done
else
  try "$(uname -m), -O0" env "${CXX:-c++}" -O0
  try "$(uname -m), -O3" env "${CXX:-c++}" -O3 -ffp-contract=fast
fi
if command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null; then
  [ -z "$all" ] || try "aarch64 -O0" qemu-aarch64 aarch64-linux-gnu-g++ -static -O0
  try "aarch64 -O3" qemu-aarch64 aarch64-linux-gnu-g++ -static -O3 -ffp-contract=fast
else
  echo "aarch64: not tried (needs aarch64-linux-gnu-g++ and qemu-aarch64)"
fi
echo "$ran builds ran, $failed failed"
[ "$failed" -eq 0 ] && [ "$ran" -gt 0 ]
