#!/usr/bin/env bash
# Dieharder on the random words of the noise, in several orders of their addresses. Takes about an hour an order;
# the tests that run on every change are in tests/random/statistics.cpp.
#   tests/statistics/run.sh [ROUNDS [ORDER...]]      7 or 10 rounds; elements, samples, steps, seeds (all)
# Prints every result that dieharder does not call PASSED, and a count for each order. Of good numbers about one
# result in 100 is WEAK (p outside [0.005, 0.995]), none FAILED (p outside [0.000001, 0.999999]).
set -euo pipefail
cd "$(dirname "$0")/../.."
source .ci/packages.sh
need_packages g++=g++ dieharder=dieharder

rounds=${1:-7}
orders=("${@:2}")
[ ${#orders[@]} -gt 0 ] || orders=(elements samples steps seeds)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
g++ -std=c++20 -O3 -Wall -Wextra -Wconversion -Wshadow -I include tests/statistics/words.cpp -o "$work/words"

failed=0
for order in "${orders[@]}"; do
  { "$work/words" "$rounds" "$order" || true; } | dieharder -a -g 200 | tee "$work/results" |
    grep -E --line-buffered 'WEAK|FAILED' || true
  count() { grep -c "$1" "$work/results" || true; }
  echo "$rounds rounds, $order: $(count PASSED) passed, $(count WEAK) weak, $(count FAILED) failed"
  [ "$(count PASSED)" -gt 0 ] && [ "$(count FAILED)" -eq 0 ] || failed=1
done
exit $failed
