#!/usr/bin/env bash
# The gate's checks with larger bounds. Every bound is a variable: BOUND=value ci/nightly.sh
set -euo pipefail
cd "$(dirname "$0")/.."

: "${SEED:=$(date +%s)}"                # printed, so that a failure can be run again
: "${PROPTEST_CASES:=20000}"            # cases of every property
: "${CAMPAIGN_ROUNDS:=100000}"          # rounds without faults
: "${FAULT_ROUNDS:=20000}"              # rounds with every fault
: "${FIVE_REGISTRANTS_CRASHES:=1}"      # crashes among five registrants, exhaustively
: "${LOOM_PREEMPTIONS:=4}"              # preemptions per execution under loom
: "${SHUTTLE_SCHEDULES:=2000000}"       # random schedules

run() {
  printf '\n== %s\n' "$*"
  "$@"
}

echo "seed $SEED"
run env PROPTEST_RNG_SEED="$SEED" PROPTEST_CASES="$PROPTEST_CASES" cargo test --release -p single-primary -p models
run cargo run --release -p models -- check --protocol journal --checker exhaustive --registrants 4 --crashes 4 --restarts 1
run cargo run --release -p models -- check --protocol journal --checker exhaustive --registrants 5 --crashes "$FIVE_REGISTRANTS_CRASHES" --restarts 0
run cargo run --release -p models -- check --protocol journal --checker loom --preemptions "$LOOM_PREEMPTIONS"
run cargo run --release -p models -- check --protocol journal --checker shuttle --schedules "$SHUTTLE_SCHEDULES" --seed "$SEED"
run cargo run --release -p models -- check --protocol all --checker all
run cargo run --release -p stress -- campaign --rounds "$CAMPAIGN_ROUNDS" --seed "$SEED"
run cargo run --release -p stress -- campaign --rounds "$FAULT_ROUNDS" --faults all --seed "$SEED"
run cargo run --release -p stress -- campaign --rounds "$FAULT_ROUNDS" --faults all --in-process 4 --seed "$SEED"
run ci/mutations.sh
