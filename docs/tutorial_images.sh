#!/usr/bin/env bash
# Makes the pictures of docs/tutorial.md with its commands: docs/tutorial_images.sh for all but the training, about a minute;
# docs/tutorial_images.sh train for the training alone, a minute or two.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mnist() { "$root/examples/mnist/run.sh" "$@"; }

pictures() {
  # The forward process
  mnist forward --index 61 --schedule cosine linear --out tutorial_forward.png --curves tutorial_curves.png

  # The reverse process
  mnist sample --n 2 --class 7 3 --sampler ddim --spacing trailing --steps 10 --guidance 1 --strip tutorial_strip_ddim.png
  mnist sample --n 2 --class 7 3 --sampler ddim --spacing trailing --steps 10 --guidance 1 --eta 1 --strip tutorial_strip_ddpm.png
  mnist sample --n 10 --steps 25 --show state --animation tutorial_animation.png

  # Guidance
  mnist sample --n 20 --steps 25 --guidance 0 --out tutorial_guidance_0.png
  mnist sample --n 20 --steps 25 --guidance 1 --out tutorial_guidance_1.png
  mnist sample --n 20 --steps 25 --guidance 2 --out tutorial_guidance_2.png
  mnist sample --n 20 --steps 25 --guidance 4 --out tutorial_guidance_4.png

  # Solvers
  mnist sample --n 20 --sampler ddim --spacing karras --steps 100 --out tutorial_ddim_100.png
  mnist sample --n 20 --sampler ddim --spacing karras --steps 8 --out tutorial_ddim_8.png
  mnist sample --n 20 --sampler dpmpp_2m --spacing karras --steps 8 --out tutorial_dpmpp_2m_8.png

  # More than drawing
  mnist denoise --index 3 61 115 8 --noise 1.5 --out tutorial_denoise.png
  mnist interpolate --index 3 61 --time 250 500 750 --out tutorial_interpolate.png
  mnist inpaint --index 61 7 --steps 25 --n 8 --out tutorial_inpaint.png
}

training() {
  mnist train --images 12800 --warmup 50 --threads 1 --out tutorial.safetensors --loss-curve tutorial_loss.png
  mnist sample --weights tutorial.safetensors --n 20 --steps 25 --out tutorial_trained.png
}

case ${1:-} in
  "") pictures ;;
  train) training ;;
  *) echo "usage: $0 [train]" >&2; exit 2 ;;
esac
mv tutorial_*.png "$root/docs/images/"
