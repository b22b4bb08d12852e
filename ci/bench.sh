#!/usr/bin/env bash
# Measures what an election costs beside its floor and its peers, and says which ratios have moved since the stored summary.
#
#   ci/bench.sh                     everything, with criterion's own report: target/bench/report/index.html
#   ci/bench.sh --quick [FILTER]    the same with fewer samples and no plots; FILTER: only what has it in its name
#   ci/bench.sh --store             everything, and what was measured becomes the stored summary and the README's figures
#
# The exit code is that of bench-summary: 1 where a ratio has grown beyond its spread.
set -euo pipefail
cd "$(dirname "$0")/.."

stored=benches/summary.json
export CRITERION_HOME="$PWD/target/bench"
criterion=()
summary=(--criterion "$CRITERION_HOME")
compared=(--export-json "$CRITERION_HOME/summary.json")
if [[ -e $stored ]]; then
  compared+=(--baseline "$stored")
fi

case "${1-}" in
  --quick) criterion=(--noplot --sample-size 20 --nresamples 2000 --warm-up-time 0.05 --measurement-time 0.3 "${@:2}") ;;
  --store) compared=(--export-json "$stored" --export-readme README.md) ;;
  '') ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

# What an earlier run left would be summed up as if it had been measured now.
rm -rf "$CRITERION_HOME"
cargo bench --locked -p benches --benches -- "${criterion[@]}"
cargo run --locked --quiet --release -p benches --bin bench-summary -- "${summary[@]}" "${compared[@]}"
