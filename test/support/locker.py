"""Locks files as it is told, a command a line, and says what became of each: `ok`, an errno's name, or what was asked for."""

import errno
import fcntl
import os
import struct
import sys

TYPES = {"shared": fcntl.LOCK_SH, "exclusive": fcntl.LOCK_EX, "none": fcntl.LOCK_UN}
KINDS = {fcntl.F_RDLCK: "shared", fcntl.F_WRLCK: "exclusive", fcntl.F_UNLCK: "none"}
FLOCK = "hhqqi4x"
F_OFD_SETLK = 37

opened = {}


def act(word, *args):
    if word == "open":
        name, mode, path = args
        opened[name] = os.open(path, os.O_RDONLY if mode == "r" else os.O_RDWR)
    elif word == "close":
        os.close(opened.pop(args[0]))
    elif word == "flock":
        name, kind, how = args
        fcntl.flock(opened[name], TYPES[kind] | (fcntl.LOCK_NB if how == "try" else 0))
    elif word == "bytes":
        name, kind, how, start, length = args
        flags = TYPES[kind] | (fcntl.LOCK_NB if how == "try" and kind != "none" else 0)
        fcntl.lockf(opened[name], flags, int(length), int(start))
    elif word == "ofd":
        name, kind, start, length = args
        types = {name: number for number, name in KINDS.items()}
        asked = struct.pack(FLOCK, types[kind], os.SEEK_SET, int(start), int(length), 0)
        fcntl.fcntl(opened[name], F_OFD_SETLK, asked)
    elif word == "test":
        name, kind, start, length = args
        types = {name: number for number, name in KINDS.items()}
        asked = struct.pack(FLOCK, types[kind], os.SEEK_SET, int(start), int(length), 0)
        kind, _, start, length, pid = struct.unpack(FLOCK, fcntl.fcntl(opened[name], fcntl.F_GETLK, asked))
        return KINDS[kind] if kind == fcntl.F_UNLCK else f"{KINDS[kind]} {start} {length} {pid}"
    return "ok"


for line in sys.stdin:
    try:
        said = act(*line.split())
    except OSError as error:
        # Python's name for it is that of another system.
        said = "EDEADLK" if error.errno == errno.EDEADLK else errno.errorcode[error.errno]
    print(said, flush=True)
