#!/usr/bin/env bash
# Makes web pages of all documentation in build/docs, with formulas set by KaTeX. Fails on a bad formula or a dead link.
set -euo pipefail
cd "$(dirname "$0")/../.."
source .ci/packages.sh
need_packages node=nodejs node-markdown-it libjs-katex
NODE_PATH=/usr/share/nodejs node docs/pages/pages.js . /usr/share/javascript/katex build/docs
