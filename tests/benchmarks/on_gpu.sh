#!/bin/sh
# Every figure that only an accelerator can tell, in at most ten minutes, without network or data.
#
#   sh tests/benchmarks/on_gpu.sh > figures.jsonl
#
# Prints one JSON line a row: the step and inference of DenseNet-121 with squeeze-and-excitation at
# 512 pixels, its memory and compile time; the same network in PyTorch, where it is installed; the
# kernels in which the step spends its time; training from shards and prediction from PNG files as
# whole jobs, on simulated radiographs. A row for which no time is left is named and left out.
# Rows are in the order of what one wants to know first. Environment variables make it smaller.
set -eu
: "${SIZE:=121}" "${PIXELS:=512}" "${SMALL_BATCH:=16}" "${LARGE_BATCH:=64}" "${IMAGES:=512}"
: "${SECONDS_IN_ALL:=540}" "${PYTHON:=python}"
here=$(dirname "$0")
began=$(date +%s)

row() { # row SECONDS COMMAND...: runs a command that takes about so long, if there is time
  need=$1
  shift
  left=$((SECONDS_IN_ALL - $(date +%s) + began))
  if [ "$left" -lt "$need" ]; then
    echo "{\"left_out\": \"$*\"}"
  else
    timeout "$left" "$@" || echo "{\"failed\": \"$*\"}"
  fi
}

step() { row 60 "$PYTHON" "$here/step.py" "$1" "$PIXELS" --size="$SIZE" --precision="$2" ${3:-}; }

step "$SMALL_BATCH" bfloat16
step "$LARGE_BATCH" bfloat16
row 60 "$PYTHON" "$here/torch_on_gpu.py" "$SMALL_BATCH" "$PIXELS" --precision=bfloat16
row 60 "$PYTHON" "$here/profile_step.py" "$SMALL_BATCH" "$PIXELS" --size="$SIZE" --precision=bfloat16
row 120 "$PYTHON" "$here/accelerated_jobs.py" --images="$IMAGES" --pixels="$PIXELS" --size="$SIZE" \
  --batch="$SMALL_BATCH"
step "$LARGE_BATCH" bfloat16 --remat
step "$SMALL_BATCH" float16
step "$SMALL_BATCH" float32
step "$SMALL_BATCH" bfloat16 --remat
row 60 "$PYTHON" "$here/torch_on_gpu.py" "$LARGE_BATCH" "$PIXELS" --precision=bfloat16
step "$LARGE_BATCH" float16
step "$LARGE_BATCH" float32
step "$SMALL_BATCH" float16 --remat
step "$SMALL_BATCH" float32 --remat
step "$LARGE_BATCH" float16 --remat
step "$LARGE_BATCH" float32 --remat
