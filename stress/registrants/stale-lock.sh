#!/bin/sh
# Wrong: a lock file with its owner's PID. Two who find its owner dead at once both remove it, one of them the other's.
name="$ELECTION_DIR/lock"
role=secondary
take() {
    (set -C && echo "$$" >"$name") 2>/dev/null
}
if take; then
    role=primary
elif read -r owner <"$name" && [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
    rm -f "$name"
    take && role=primary
fi
echo "$role"
while read -r word event; do
    case "$word" in
        event) [ "$role" = primary ] && echo "$event $INSTANCE_ID" >>"$REALTIME_LOG" ;;
        quit) break ;;
    esac
done
echo left
