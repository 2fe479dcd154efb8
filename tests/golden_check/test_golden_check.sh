#!/bin/sh
# Breaks copies of golden files and checks that golden_check notices, says so in one line, and never crashes.
# usage: test_golden_check.sh GOLDEN_CHECK DATA_FOLDER
set -u
check=$1
data=$2
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failures=0

# expect NAME STATUS PATTERN ARGUMENT...: the exit status, and a line of the output that matches.
expect() {
  name=$1 status=$2 pattern=$3
  shift 3
  output=$("$check" "$@" 2>&1)
  found=$?
  if [ "$found" -ne "$status" ] || ! printf '%s\n' "$output" | grep -Eq -e "$pattern"; then
    failures=$((failures + 1))
    printf 'FAILED %s: exit status %s (expected %s), output:\n%s\n(expected a line like: %s)\n' \
           "$name" "$found" "$status" "$output" "$pattern"
  fi
}

# edited SED_PROGRAM SOURCE: a changed copy; the change must change something.
edited() {
  sed -E "$1" "$data/$2" >"$folder/edited.json"
  cmp -s "$data/$2" "$folder/edited.json" && echo "the edit $1 does nothing to $2" >>"$folder/idle_edits"
  printf '%s' "$folder/edited.json"
}
# written TEXT: a file with this text.
written() {
  printf '%s' "$1" >"$folder/written.json"
  printf '%s' "$folder/written.json"
}

ddim=sampler-ddim-default.json
ddpm=sampler-ddpm-fixed-small.json
unipc=sampler-unipc-bh2.json
sde=sampler-dpmpp-sde-k-karras.json
churn=sampler-heun-k-churn.json

expect "a good file passes" 0 '^pass +sampler-ddim-default ' "$data/$ddim"
expect "the last line counts" 0 '^2 passed, 0 failed, 0 skipped$' "$data/$ddim" "$data/$ddpm"
expect "verbose prints comparisons" 0 'x_final in closed loop +error' --verbose "$data/$ddim"

# Changed numbers.
expect "a changed end" 1 '^fail .*x_final' "$(edited 's/("x_final":\[-?[0-9]+\.)[0-9]/\19/' $ddim)"
expect "a changed noise" 1 '^fail .*steps\[0\]\.x' "$(edited 's/("noise":\[-?[0-9]+\.)[0-9]/\19/' $ddpm)"
expect "a changed model output" 1 '^fail .*steps\[0\]\.model_output' \
       "$(edited 's/("model_output":\[-?[0-9]+\.)[0-9]/\19/' $ddim)"
expect "a changed level" 1 '^fail .*level_from' "$(edited 's/("level_from":\[)0\.01/\10.02/' $ddim)"
expect "a changed time" 1 '^fail .*timesteps\.values' "$(edited 's/"values":\[900/"values":[901/' $ddim)"
expect "a changed option" 1 '^fail ' "$(edited 's/"eta":0\.0/"eta":0.5/' $ddim)"
expect "a changed schedule" 1 '^fail ' "$(edited 's/"beta_end":0\.02/"beta_end":0.021/' $ddim)"
expect "a changed table" 1 '^fail .*betas\[0\]' "$(edited 's/("betas":\[0\.)0/\11/' schedule-cosine-t10.json)"
expect "a changed random word" 1 '^fail .*out\[0\]' "$(edited 's/6627e8d5/6627e8d6/' rng-philox4x32-10.json)"
expect "a changed 64-bit random word" 1 '^fail .*raw\[0\]' "$(edited 's/"6706e62d/"6706e62c/' rng-numpy-philox.json)"
expect "a changed feature" 1 '^fail .*mu1\[0\]' "$(edited 's/("features1":\[-0)\.2/\1.3/' fid-n150-120-d4.json)"
expect "a changed kernel distance" 1 '^fail .*kid_unbiased' "$(edited 's/("kid_unbiased":1)\.1/\1.2/' fid-n150-120-d4.json)"
expect "a changed likelihood" 1 '^fail .*log_likelihood' "$(edited 's/("log_likelihood":\[-1\.50)9/\18/' log-likelihood-mixture.json)"
expect "a changed probe" 1 '^fail .*log_likelihood' "$(edited 's/("probe":\[)-1/\11/' log-likelihood-mixture.json)"
expect "a changed inception score" 1 '^fail .*score' "$(edited 's/("score":2)\.5/\1.6/' inception-score-n40-c10.json)"
expect "a changed normal" 1 '^fail .*randn_f32\.16\[0\]' \
       "$(edited 's/("16":\[-1\.125839)8/\19/' rng-torch-cpu-0.json)"
expect "an unknown size" 1 '^unsupported .*randn_f64\.18' \
       "$(edited 's/("randn_f64":\{)/\1"18":[],/' rng-torch-cpu-0.json)"
expect "a changed sigma" 1 '^fail .*sigmas\[1\]' "$(edited 's/("sigmas":\[[0-9.]+,8\.)3/\14/' $unipc)"
expect "a changed order" 1 '^fail ' "$(edited 's/"solver_order":2/"solver_order":3/' $unipc)"
expect "a changed corrector" 1 '^fail ' "$(edited 's/"disable_corrector":\[\]/"disable_corrector":[1]/' $unipc)"
expect "a changed final sigma" 1 '^fail .*sigmas' "$(edited 's/"final_sigma":"zero"/"final_sigma":"sigma_min"/' $unipc)"
expect "a changed midpoint" 1 '^fail ' "$(edited 's/"r":0\.[0-9]+/"r":0.3/' $sde)"
expect "a changed amount of churn" 1 '^fail ' "$(edited 's/"s_churn":[0-9.]+/"s_churn":1.0/' $churn)"
expect "a changed weight" 1 '^fail .*weight' "$(edited 's/"gamma":5/"gamma":4/' loss-weight-min-snr-v.json)"
expect "a limit of zero" 1 '^fail .*gamma' "$(edited 's/"gamma":5/"gamma":0/' loss-weight-min-snr-v.json)"
expect "a changed denoiser weight" 1 '^fail .*weight' "$(edited 's/("weight":\[)4\./\15./' loss-weight-edm.json)"
expect "an unknown parameter of the weights" 1 '^unsupported .*params\.tilt' \
       "$(edited 's/"params":\{/"params":{"tilt":1/' loss-weight-vp.json)"
expect "a changed deviation of the data" 1 '^fail .*c_skip' \
       "$(edited 's/"sigma_data":0\.5/"sigma_data":0.6/' preconditioning-edm.json)"
expect "a changed rounded sigma" 1 '^fail .*sigma' "$(edited 's/("requested_sigma":\[0\.0)1/\15/' preconditioning-iddpm.json)"
expect "a changed loss" 1 '^fail .*updates\[14\]\.weights' "$(edited 's/"loss":0\.588333/"loss":1.588333/' timestep-sampler-t5.json)"
expect "a huge history" 1 '^fail .*num_timesteps' \
       "$(edited 's/"num_timesteps":5,"history_per_term":3/"num_timesteps":1000000,"history_per_term":1000/' timestep-sampler-t5.json)"
expect "the last line counts failures" 1 '^1 passed, 1 failed, 0 skipped$' \
       "$data/$ddpm" "$(edited 's/"eta":0\.0/"eta":0.5/' $ddim)"

# What is not known is never passed over.
unknown_option=$(edited 's/"kind":"ddim"/"kind":"ddim","novelty":1/' $ddim)
expect "an unknown option" 1 '^unsupported .*sampler\.novelty' "$unknown_option"
expect "an unknown option, skipped" 0 '^0 passed, 0 failed, 1 skipped$' --skip-unsupported "$unknown_option"
expect "an unknown family" 1 '^unsupported .*family "poetry"' "$(edited 's/"sampler"/"poetry"/' $ddim)"
expect "an unknown sampler" 1 '^unsupported .*sampler\.kind "magic"' "$(edited 's/"ddim"/"magic"/' $ddim)"
expect "an unknown schedule" 1 '^unsupported .*"wavy"' "$(edited 's/"linear"/"wavy"/' $ddim)"
expect "an unknown schedule option" 1 '^unsupported .*schedule\.tilt' \
       "$(edited 's/"beta_start"/"tilt":2,"beta_start"/' $ddim)"
expect "an unknown spacing" 1 '^unsupported .*"wide"' "$(edited 's/"leading"/"wide"/' $ddim)"
expect "an unknown variance" 1 '^unsupported .*"random"' "$(edited 's/"fixed_small"/"random"/' $ddpm)"
expect "an unknown prediction" 1 '^unsupported .*"verse"' "$(edited 's/"epsilon"/"verse"/' $ddim)"
expect "an unknown option of a planned sampler" 1 '^unsupported .*sampler\.novelty' \
       "$(edited 's/"kind":"unipc"/"kind":"unipc","novelty":1/' $unipc)"
expect "an unknown sigma spacing" 1 '^unsupported .*"wide"' "$(edited 's/"sigma_spacing":"default"/"sigma_spacing":"wide"/' $unipc)"
expect "an unknown solver" 1 '^unsupported .*"bh9"' "$(edited 's/"bh2"/"bh9"/' $unipc)"
expect "an unknown dtype" 1 '^unsupported .*"f16"' "$(edited 's/"f64"/"f16"/' $ddim)"

# Malformed and hostile files: a failed file, one line.
head -c 1000 "$data/$ddim" >"$folder/truncated.json"
expect "a truncated file" 1 '^fail +truncated .*parse error' "$folder/truncated.json"
expect "an empty file" 1 '^fail ' "$(written '')"
expect "no JSON" 1 '^fail ' "$(written 'hello')"
expect "an array" 1 '^fail .*expected one JSON object' "$(written '[1, 2]')"
expect "no family" 1 '^fail .*family: missing' "$(written '{}')"
expect "deep nesting" 1 '^fail .*nested deeper' "$(written "$(printf '%0100000d' 0 | tr 0 '[')")"
expect "a missing file" 1 '^fail +absent ' "$folder/absent.json"
expect "a folder" 1 '^fail ' "$folder"
expect "a missing key" 1 '^fail .*steps: missing' "$(edited 's/"steps":\[\{/"strides":[{/' $ddim)"
expect "a wrong length" 1 '^fail .*x_init: expected 12 entries, found 13' \
       "$(edited 's/"x_init":\[/"x_init":[0,/' $ddim)"
expect "a wrong type" 1 '^fail .*eta: expected a number' "$(edited 's/"eta":0\.0/"eta":"0"/' $ddim)"
expect "a null" 1 '^fail .*x_init: expected a number, found null' \
       "$(edited 's/"x_init":\[[^,]*/"x_init":[null/' $ddim)"
expect "NaN" 1 '^fail .*parse error' "$(edited 's/"x_init":\[[^,]*/"x_init":[NaN/' $ddim)"
expect "an overflowing number" 1 '^fail ' "$(edited 's/"x_init":\[[^,]*/"x_init":[1e999/' $ddim)"
expect "a missing evaluation" 1 '^fail .*evaluations recorded' "$(edited 's/"evals":\[\{[^}]*\},/"evals":[/' $sde)"
expect "a missing noise of a planned sampler" 1 '^fail .*noise' \
       "$(edited 's/"noises":\[\[[^]]*\],\[[^]]*\]\]/"noises":null/' $sde)"
expect "a huge order" 1 '^fail .*solver_order' "$(edited 's/"solver_order":2/"solver_order":2000000000/' $unipc)"
expect "a missing noise" 1 '^fail .*noise: null or missing' \
       "$(edited 's/"noise":\[[^]]*\]/"noise":null/' $ddpm)"
expect "a huge number of features" 1 '^fail .*n1' "$(edited 's/"n1":150/"n1":2000000000/' fid-n150-120-d4.json)"
expect "a huge shape" 1 '^fail .*shape' \
       "$(edited 's/"shape":\[2,3,2\]/"shape":[16000000,16000000,16000000,16000000]/' $ddim)"
expect "a huge schedule" 1 '^fail .*train_steps' "$(edited 's/"train_steps":1000/"train_steps":2000000000/' $ddim)"
expect "a huge count of steps" 1 '^fail ' "$(edited 's/"steps":10,/"steps":1000000000000,/' $ddim)"
expect "a broken respacing" 1 '^fail .*respacing' "$(edited 's/"ddim25"/"ddim0"/' respacing-ddim25.json)"

# Usage.
expect "no files" 2 '^usage:'
expect "an unknown command line option" 2 'unknown option --fast' --fast "$data/$ddim"

if [ -s "$folder/idle_edits" ]; then
  cat "$folder/idle_edits"
  failures=$((failures + 1))
fi
[ "$failures" -eq 0 ] || exit 1
echo "all expectations hold"
