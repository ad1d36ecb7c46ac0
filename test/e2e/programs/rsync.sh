#!/bin/sh
# Copies a tree twice: the second time nothing may move. Usage: rsync.sh FOLDER SAMPLE SCRATCH
set -eu
sample=$2 scratch=$3
mkdir -p "$scratch/tree" && cp -R "$sample" "$scratch/tree/sample" && cd "$scratch/tree"
ln -s sample soft && echo linked >hard && ln hard hard-too && head -c 5000000 /dev/urandom >large && chmod 640 large
touch -d '2001-02-03 04:05:06.789' large sample

copy() { rsync -aH --itemize-changes "$@" "$scratch/tree/" "$folder/copy/"; }
nothing() { [ -z "$2" ] || { echo "$1:"; echo "$2" | head; exit 1; }; }

folder=$1
mkdir "$folder/copy"
copy >/dev/null
nothing 'moved though nothing had changed' "$(copy)"
nothing 'differs' "$(copy --checksum --dry-run)"
diff -r --no-dereference . "$folder/copy"

printf changed | dd of=large bs=1 seek=2500000 conv=notrunc status=none
moved=$(copy --inplace --no-whole-file | grep -v /$)
[ "$moved" = '>f..t...... large' ] || { echo "moved: $moved, and should have moved: large"; exit 1; }
cmp large "$folder/copy/large"
rm -r soft sample && copy --delete >/dev/null
nothing 'differs after a deletion' "$(copy --delete)"
diff -r --no-dereference . "$folder/copy"
