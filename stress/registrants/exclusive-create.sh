#!/bin/sh
# Right, as long as nobody dies: whoever creates the file is primary, for ever.
role=secondary
(set -C && : >"$ELECTION_DIR/primary") 2>/dev/null && role=primary
echo "$role"
while read -r word event; do
    case "$word" in
        event) [ "$role" = primary ] && echo "$event $INSTANCE_ID" >>"$REALTIME_LOG" ;;
        quit) break ;;
    esac
done
echo left
