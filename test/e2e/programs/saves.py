"""Saves a file as editors do, many times, and looks each time at what a reader finds. Usage: saves.py FOLDER"""
import os
import subprocess
import sys

os.chdir(sys.argv[1])
SAVES = 40


def text(version):
    return f"version {version}\n".encode() * (200 + version * 37 % 101)


def content(name="file"):
    with open(name, "rb") as file:
        return file.read()


def put(name, data, flags=0):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | flags, 0o640)
    assert os.write(fd, data) == len(data)
    os.fsync(fd)
    os.close(fd)


def renaming(version):
    """vim with backupcopy=no: the old file becomes the backup, the new one is written under the name."""
    os.rename("file", "file~")
    put("file", text(version), os.O_EXCL)
    os.unlink("file~")


def copying(version):
    """vim with backupcopy=yes: the backup is a copy, the file is written over."""
    put("file~", content(), os.O_TRUNC)
    put("file", text(version), os.O_TRUNC)
    os.unlink("file~")


def replacing(version):
    """Most others: written beside, put over the name, and the directory synced."""
    put("file.new", text(version), os.O_EXCL)
    os.rename("file.new", "file")
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)


put("file", text(0))
for version in range(1, SAVES):
    reader = os.open("file", os.O_RDONLY)
    before = text(version - 1)
    save = (renaming, replacing, copying)[version % 3]
    save(version)
    assert content() == text(version), f"{save.__name__} of version {version}: other bytes"
    if save is not copying:
        assert os.pread(reader, len(before) + 1, 0) == before, f"{save.__name__}: a reader lost the old version"
    os.close(reader)
    assert os.listdir(".") == ["file"], f"{save.__name__}: left {os.listdir('.')}"

if subprocess.run(["sh", "-c", "command -v vim"], capture_output=True).returncode == 0:
    for copy in ("yes", "no"):
        command = f"set nocp backup backupskip= backupcopy={copy} backupext=~ | %s/^/edited {copy} / | wq"
        subprocess.run(["vim", "-u", "NONE", "-i", "NONE", "-es", "-c", command, "file"], check=True, timeout=20)
        assert f"edited {copy} ".encode() in content(), f"vim with backupcopy={copy}: {content()[:80]}"
        assert f"edited {copy} ".encode() not in content("file~"), "vim: the backup is the new version"
    assert sorted(os.listdir(".")) == ["file", "file~"], os.listdir(".")
