#!/usr/bin/env bash
# A part of a campaign, and the parts as one. Where and how many it is of, whatever deals the parts out says by its variables:
#
#   SEED=7 ci/shard.sh run DIR [OPTION...]     runs this part, whose report becomes DIR/shard-K-of-N.json
#   ci/shard.sh merge DIR [OPTION...]          joins the reports of all parts in DIR; the exit code is that of the whole
#
# Options are those of `stress campaign` and of `stress merge`. SEED must be the same for all parts. The part is taken from
#
#   SHARD=K/N                                                          a CI matrix whose values are written so
#   CI_NODE_INDEX, CI_NODE_TOTAL                                       CI systems with parallel jobs; from 1 on
#   SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_MIN, SLURM_ARRAY_TASK_COUNT  an array of Slurm jobs
#   JOB_COMPLETION_INDEX, JOB_COMPLETIONS                              an indexed Job of Kubernetes, which tells only the first by itself
#
# STRESS is the program; without it, cargo builds and runs it. A part that shows too little by itself ends in 0: whether all
# of them show enough is for the merge to say.
set -euo pipefail

usage() {
  sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

# Ends with 2 unless the variable has a value.
need() {
  [[ -n ${!1-} ]] || { echo "ci/shard.sh: $2" >&2; exit 2; }
}

part() {
  if [[ -n ${SHARD-} ]]; then
    echo "$SHARD"
  elif [[ -n ${CI_NODE_INDEX-} ]]; then
    need CI_NODE_TOTAL 'CI_NODE_INDEX is set: set CI_NODE_TOTAL to the number of parts as well'
    echo "$CI_NODE_INDEX/$CI_NODE_TOTAL"
  elif [[ -n ${SLURM_ARRAY_TASK_ID-} ]]; then
    need SLURM_ARRAY_TASK_COUNT 'SLURM_ARRAY_TASK_ID is set: set SLURM_ARRAY_TASK_COUNT to the number of parts as well'
    echo "$((SLURM_ARRAY_TASK_ID - ${SLURM_ARRAY_TASK_MIN:-0} + 1))/$SLURM_ARRAY_TASK_COUNT"
  elif [[ -n ${JOB_COMPLETION_INDEX-} ]]; then
    need JOB_COMPLETIONS 'JOB_COMPLETION_INDEX is set: set JOB_COMPLETIONS to the number of completions as well'
    echo "$((JOB_COMPLETION_INDEX + 1))/$JOB_COMPLETIONS"
  else
    echo 'ci/shard.sh: no variable says which part this is: set SHARD=K/N' >&2
    return 2
  fi
}

stress() {
  if [[ -n ${STRESS-} ]]; then
    "$STRESS" "$@"
  else
    cargo run --locked --quiet --release --manifest-path "$(dirname "$0")/../Cargo.toml" -p stress -- "$@"
  fi
}

[[ $# -ge 2 ]] || usage
command=$1 directory=$2
shift 2
case $command in
  run)
    need SEED 'set SEED to a number, the same for all parts'
    shard=$(part)
    mkdir -p "$directory"
    report="$directory/shard-${shard/\//-of-}.json"
    code=0
    stress campaign --seed "$SEED" --shard "$shard" --export-json "$report" "$@" || code=$?
    [[ $code -eq 3 ]] || exit "$code"
    ;;
  merge)
    reports=("$directory"/shard-*-of-*.json)
    parts=${reports[0]##*-of-}
    parts=${parts%.json}
    if [[ ! -e ${reports[0]} || ${#reports[@]} -ne $parts ]]; then
      echo "$directory: ${#reports[@]} of $parts reports: run the missing parts first" >&2
      exit 3
    fi
    stress merge "${reports[@]}" "$@"
    ;;
  *) usage ;;
esac
