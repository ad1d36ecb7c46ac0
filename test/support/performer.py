"""Performs file operations in one folder, a JSON line each, and answers each with a line: what came of it, or the errno.

It is a process of its own because Node has no mmap, no fallocate and no copy_file_range, and because two of them show what
processes see of each other. Handles live in numbered slots, so that any sequence of operations makes sense.
"""
import ctypes
import errno
import hashlib
import json
import mmap
import os
import random
import stat
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
libc.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
AT_FDCWD = -100
READ_BYTES_MAX = 1 << 20

files = {}
maps = {}
late = set()


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "")


def filling(act):
    return random.Random(act["fill"]).randbytes(act["size"])


def digest(data):
    return f"{len(data)}:{hashlib.sha1(data).hexdigest()[:12]}"


def fd_of(act, key="slot"):
    if act[key] not in files:
        raise OSError(errno.EBADF, "")
    return files[act[key]]


def unmap(slot):
    """A mapping closes its own descriptor, and swallows what that says of pages that could not be written."""
    if slot in maps:
        view = maps.pop(slot)
        try:
            os.close(os.dup(files[slot]))
        finally:
            view.close()


def close(slot):
    try:
        unmap(slot)
    finally:
        if slot in files:
            os.close(files.pop(slot))


def close_all(act):
    """All of them, also where one fails."""
    failed = None
    for slot in list(files):
        try:
            close(slot)
        except OSError as error:
            failed = error
    if failed:
        raise failed


def drop_cache(act):
    """The kernel's: of pages that could not be written it goes on showing what they should have become."""
    for directory, _, names in os.walk("."):
        for path in (os.path.join(directory, name) for name in names):
            if stat.S_ISREG(os.lstat(path).st_mode):
                fd = os.open(path, os.O_RDONLY)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)


def leave(act):
    """Holds on to nothing any more."""
    try:
        close_all(act)
    finally:
        os.chdir("/")


def open_file(act):
    """No directory, as a symlink may lead to: every file system decides their sizes for itself."""
    close(act["slot"])
    fd = os.open(act["path"], act["flags"], act["mode"])
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EISDIR, "")
    files[act["slot"]] = fd


def write(act):
    fd = fd_of(act)
    return os.write(fd, filling(act)) if act["offset"] is None else os.pwrite(fd, filling(act), act["offset"])


def read(act):
    fd = fd_of(act)
    size = act["size"]
    return digest(os.read(fd, size) if act["offset"] is None else os.pread(fd, size, act["offset"]))


def mapped(act):
    """A shared mapping, kept until told otherwise, and the range of the act in it: cut to the size that the file has now, because
    beyond it is SIGBUS."""
    slot = act["slot"]
    fd = fd_of(act)
    size = os.fstat(fd).st_size
    if size == 0:
        raise OSError(errno.EINVAL, "")
    if slot not in maps or len(maps[slot]) <= act["offset"] < size:
        unmap(slot)
        maps[slot] = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    start = min(act["offset"], len(maps[slot]), size)
    return maps[slot], start, min(start + act["size"], len(maps[slot]), size)


def map_write(act):
    view, start, end = mapped(act)
    view[start:end] = filling(act)[: end - start]
    if act["sync"]:
        view.flush()
    else:
        # Its times change when the kernel finds out.
        late.add(str(os.fstat(files[act["slot"]]).st_ino))


def map_read(act):
    view, start, end = mapped(act)
    return digest(view[start:end])


def copy_range(act):
    return os.copy_file_range(fd_of(act, "from"), fd_of(act, "to"), act["size"], act["offset"], act["at"])


def rename(act):
    checked(libc.renameat2(AT_FDCWD, os.fsencode(act["path"]), AT_FDCWD, os.fsencode(act["to"]), act["flags"]))


def xattr(act):
    if act["value"] is None:
        os.removexattr(act["path"], act["name"])
    else:
        os.setxattr(act["path"], act["name"], act["value"].encode())


def attributes(info):
    return {
        "kind": stat.S_IFMT(info.st_mode),
        "mode": stat.S_IMODE(info.st_mode),
        "owner": [info.st_uid, info.st_gid],
        # Of a directory, every file system decides these for itself.
        "size": None if stat.S_ISDIR(info.st_mode) else info.st_size,
        "links": None if stat.S_ISDIR(info.st_mode) else info.st_nlink,
        "inode": str(info.st_ino),
        "mtime": str(info.st_mtime_ns),
    }


def content(path):
    sha = hashlib.sha1()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(READ_BYTES_MAX):
            sha.update(piece)
    return sha.hexdigest()[:12]


def look(act):
    """All that is there: names, attributes, contents."""
    seen = {}
    pending = ["."]
    while pending:
        directory = pending.pop()
        for name in os.listdir(directory):
            path = os.path.join(directory, name)[2:] if directory == "." else os.path.join(directory, name)
            info = os.lstat(path)
            seen[path] = attributes(info)
            if stat.S_ISDIR(info.st_mode):
                pending.append(path)
            elif stat.S_ISLNK(info.st_mode):
                seen[path]["target"] = os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                seen[path]["content"] = content(path)
                seen[path]["xattrs"] = {n: os.getxattr(path, n).decode() for n in os.listxattr(path)}
    return seen


ACTS = {
    "enter": lambda act: os.chdir(act["path"]),
    "open": open_file,
    "close": lambda act: close(act["slot"]),
    "closeAll": close_all,
    "leave": leave,
    "dropCache": drop_cache,
    "write": write,
    "read": read,
    "seek": lambda act: os.lseek(fd_of(act), act["offset"], act["from"]),
    "truncate": lambda act: os.ftruncate(fd_of(act), act["size"]),
    "truncatePath": lambda act: os.truncate(act["path"], act["size"]),
    "allocate": lambda act: checked(libc.fallocate(fd_of(act), act["mode"], act["offset"], act["size"])),
    "sync": lambda act: os.fdatasync(fd_of(act)) if act["onlyData"] else os.fsync(fd_of(act)),
    "size": lambda act: os.fstat(fd_of(act)).st_size,
    "links": lambda act: os.fstat(fd_of(act)).st_nlink,
    "unmap": lambda act: unmap(act["slot"]),
    "mapWrite": map_write,
    "mapRead": map_read,
    "copyRange": copy_range,
    "rename": rename,
    "unlink": lambda act: os.unlink(act["path"]),
    "link": lambda act: os.link(act["path"], act["to"]),
    "symlink": lambda act: os.symlink(act["target"], act["path"]),
    "mkdir": lambda act: os.mkdir(act["path"], act["mode"]),
    "rmdir": lambda act: os.rmdir(act["path"]),
    "chmod": lambda act: os.chmod(act["path"], act["mode"]),
    "fchmod": lambda act: os.fchmod(fd_of(act), act["mode"]),
    "utimes": lambda act: os.utime(act["path"], ns=(act["atime"], act["mtime"])),
    "xattr": xattr,
    "look": look,
}

os.umask(0o022)
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"came": ACTS[request["do"]](request), "late": sorted(late)}
        late.clear()
    except OSError as error:
        answer = {"errno": errno.errorcode.get(error.errno, str(error.errno))}
    print(json.dumps(answer), flush=True)
