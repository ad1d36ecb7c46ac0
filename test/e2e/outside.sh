#!/bin/sh
# Suites of others, on a mount or any other folder. They are no part of this project: docs/testing.md says how to get them.
#
#     FSX=… test/e2e/outside.sh FOLDER [fsx | fio …]        OPERATIONS=100000 SEEDS="1 2 3 4 5" LENGTH=1500000 CLOSES=0.5 MIB=256
set -eu
folder=$1
shift
[ $# -gt 0 ] || set -- fsx fio
fsx=${FSX:-fsx}
operations=${OPERATIONS:-100000}
seeds=${SEEDS:-1 2 3 4 5}
mib=${MIB:-256}
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

# Everything that it can do, through mapped memory too; up to 1.5 pages of the cache, so that its border is crossed all the time.
cat >"$scratch/fsx.toml" <<END
flen = ${LENGTH:-1500000}
[opsize]
min = 1
max = 300000
align = 1
[weights]
close_open = ${CLOSES:-0.5}
invalidate = 0.5
mapread = 1
mapwrite = 1
read = 1
write = 1
truncate = 1
fsync = 0.1
fdatasync = 0.1
posix_fallocate = 0.3
punch_hole = 0.5
sendfile = 0.3
posix_fadvise = 0.1
copy_file_range = 0.5
END

run_fsx() {
  for seed in $seeds; do
    echo "fsx, seed $seed, $operations operations"
    "$fsx" -q -N "$operations" -S "$seed" -f "$scratch/fsx.toml" -P "$scratch" "$folder/fsx-$seed"
    rm "$folder/fsx-$seed"
  done
}

job() {
  echo "fio: $*"
  mkdir "$folder/fio"
  fio --output-format=terse --terse-version=3 --directory="$folder/fio" --size="${mib}m" --verify=crc32c --verify_fatal=1 \
    --verify_state_save=0 --do_verify=1 --group_reporting --name=job "$@" >"$scratch/fio" 2>&1 || {
    cat "$scratch/fio"
    exit 1
  }
  rm -r "$folder/fio"
}

run_fio() {
  job --rw=write --bs=1m --ioengine=psync
  job --rw=write --bs=1m --ioengine=psync --direct=1
  job --rw=randwrite --bs=4k --ioengine=psync --io_size="$((mib / 4))m"
  job --rw=randrw --bs=4k --ioengine=psync --io_size="$((mib / 4))m" --fsync=64
  job --rw=randwrite --bsrange=512-70000 --bs_unaligned --ioengine=psync --io_size="$((mib / 4))m"
  job --rw=write --bsrange=512-70000 --bs_unaligned --ioengine=mmap --size="$((mib / 8))m"
  job --rw=randwrite --bs=64k --ioengine=mmap --size="$((mib / 4))m"
  job --rw=randwrite --bs=4k --ioengine=libaio --iodepth=16 --direct=1 --io_size="$((mib / 4))m"
  job --rw=write --bs=256k --ioengine=libaio --iodepth=8
  job --rw=randwrite --bs=16k --ioengine=libaio --iodepth=8 --direct=1 --numjobs=4 --size="$((mib / 4))m"
  job --rw=randrw --bs=8k --ioengine=psync --numjobs=4 --size="$((mib / 4))m" --fsync=32
}

for suite in "$@"; do "run_$suite"; done
