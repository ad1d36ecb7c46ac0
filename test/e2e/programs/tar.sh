#!/bin/sh
# Unpacks an archive with everything that archives may hold, compares, and packs it again. Usage: tar.sh FOLDER SAMPLE SCRATCH
set -eu
sample=$2 scratch=$3
mkdir -p "$scratch/tree/deep/er" && cd "$scratch/tree"
cp -R "$sample" sample
ln -s sample soft && ln -s nowhere dangling && echo linked >hard && ln hard deep/hard
truncate -s 5M holes && printf end >>holes && printf middle | dd of=holes bs=1 seek=3000000 conv=notrunc status=none
head -c 3000001 /dev/urandom >random
: >empty && echo odd >"deep/er/ odd 'name' \$x ü
" && touch -d '1999-12-31 23:59:59.123456789' empty
name=$(printf '%0255d' 7) && echo long >"deep/$name"
chmod 4750 random && chmod 0 empty && chmod 1777 deep && chmod 2755 deep/er && mkfifo pipe
tar --format=posix -C "$scratch" -cSf "$scratch/tree.tar" tree

# How large a directory is and how many links it has, every file system decides for itself.
listing() { (cd "$1" && find tree -type d -printf '%p %M %T+\n' -o -printf '%p %M %T+ %n %s %l\n' | sort); }

cd "$1"
tar -xpf "$scratch/tree.tar"
diff -r --no-dereference --exclude pipe "$scratch/tree" tree
listing "$scratch" >"$scratch/theirs" && listing "$1" >"$scratch/ours"
diff "$scratch/theirs" "$scratch/ours"
tar -df "$scratch/tree.tar"
tar --format=posix -cSf "$scratch/again.tar" tree
tar -C "$scratch" -df "$scratch/again.tar"
rm -r tree
[ ! -e tree ]
