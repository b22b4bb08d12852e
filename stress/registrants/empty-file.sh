#!/bin/sh
# Wrong: a file that is created and then written. Whoever dies between the two leaves one that nobody can tell the owner of.
name="$ELECTION_DIR/primary"
role=secondary
if (set -C && : >"$name") 2>/dev/null; then
    echo "$$" >"$name"
    role=primary
elif read -r owner <"$name" && ! kill -0 "$owner" 2>/dev/null; then
    rm -f "$name"
    (set -C && : >"$name") 2>/dev/null && echo "$$" >"$name" && role=primary
fi
echo "$role"
while read -r word event; do
    case "$word" in
        event) [ "$role" = primary ] && echo "$event $INSTANCE_ID" >>"$REALTIME_LOG" ;;
        quit) break ;;
    esac
done
echo left
