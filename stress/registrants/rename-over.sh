#!/bin/sh
# Wrong: each renames a file of its own over the one that names the primary, and believes what it reads there at once.
name="$ELECTION_DIR/primary"
echo "$INSTANCE_ID" >"$ELECTION_DIR/$INSTANCE_ID.new"
mv -f "$ELECTION_DIR/$INSTANCE_ID.new" "$name"
read -r found <"$name"
role=secondary
[ "$found" = "$INSTANCE_ID" ] && role=primary
echo "$role"
while read -r word event; do
    case "$word" in
        event) [ "$role" = primary ] && echo "$event $INSTANCE_ID" >>"$REALTIME_LOG" ;;
        quit) break ;;
    esac
done
echo left
