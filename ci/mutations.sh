#!/usr/bin/env bash
# A check of the checks: breaks the election on purpose, one edit at a time, and demands that the tests turn red.
#
#   ci/mutations.sh              every edit in ci/mutations
#   ci/mutations.sh NAME...      those named
#
# What is committed is cloned into a temporary directory, which is removed at the end. Bounds are variables:
# BOUND=value ci/mutations.sh
#
# Exit codes: 0 the tests noticed every edit, 1 they did not, 2 usage, 3 they fail without any edit, 4 an edit applies no
# more or does not build.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${PACKAGES:=single-primary models}"  # whose tests must notice
: "${SECONDS_MAX:=1800}"                # after which a build or the tests of an edit count as endless
: "${TARGET:=}"                         # a directory to build in that is kept, instead of a temporary one
: "${LOGS:=}"                           # a directory that keeps what the tests said, if one is named

edits=("$@")
if [ ${#edits[@]} -eq 0 ]; then
  for patch in ci/mutations/*.patch; do
    edits+=("$(basename "$patch" .patch)")
  done
fi
for edit in "${edits[@]}"; do
  if [ ! -f "ci/mutations/$edit.patch" ]; then
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    echo "error: no edit is called $edit; see ci/mutations" >&2
    exit 2
  fi
done

for directory in TARGET LOGS; do
  if [ -n "${!directory}" ]; then
    mkdir -p "${!directory}"
    printf -v "$directory" '%s' "$(cd "${!directory}" && pwd)"
  fi
done
scratch=$(mktemp -d)
running=
trap 'rm -rf "$scratch"' EXIT
trap 'kill $running 2>/dev/null && wait $running; exit 130' INT TERM
git clone --quiet --local . "$scratch/clone"
patches=$PWD/ci/mutations
cd "$scratch/clone"
export CARGO_TARGET_DIR="${TARGET:-$scratch/target}" INSTA_UPDATE=no
arguments=(--locked)
for package in $PACKAGES; do
  arguments+=(--package "$package")
done
log=$scratch/log

fail() {
  tail -n 40 "$log" >&2
  echo "error: $1" >&2
  exit "$2"
}

# In the background, so that an interrupt is heeded at once.
cargo_test() {
  timeout "$SECONDS_MAX" cargo test "${arguments[@]}" "$@" >"$log" 2>&1 &
  running=$!
  wait "$running"
}

build() {
  cargo_test --no-run
}

echo "without any edit" >&2
build || fail "the tests do not build" 4
cargo_test || fail "the tests fail without any edit, so that they can tell nothing" 3

table=
missed=0
for edit in "${edits[@]}"; do
  echo "$edit: $(head -n 1 "$patches/$edit.patch")" >&2
  git apply "$patches/$edit.patch" >"$log" 2>&1 || fail "$edit.patch does not apply any more: renew it" 4
  build || fail "$edit.patch does not build any more: renew it" 4
  code=0
  cargo_test || code=$?
  case $code in
    0) found='NOT NOTICED' ;;
    124) found='no end' ;;
    *) found=$(sed -n 's/^test \(.*[^ ]\) *\.\.\. FAILED.*/\1/p' "$log" | head -n 1) ;;
  esac
  if [ "$code" -eq 0 ] || [ "$code" -eq 124 ] || [ -z "$found" ]; then
    missed=1
  fi
  table+=$(printf '%-28s %s' "$edit" "${found:-red, but no test failed}")$'\n'
  if [ -n "$LOGS" ]; then
    cp "$log" "$LOGS/$edit.log"
  fi
  git checkout --quiet .
done

printf '\n%-28s %s\n%s' edit 'the first test that fails' "$table" >&2
exit "$missed"
