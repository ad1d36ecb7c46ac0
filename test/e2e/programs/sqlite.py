"""SQLite in every journal mode, by two writers at once of which one is killed; no committed row may be missing. Usage: sqlite.py FOLDER"""
import os
import signal
import sqlite3
import subprocess
import sys

ROWS = 30
BUSY_SECONDS = 30
PROGRAM = os.path.abspath(__file__)


def connect(mode):
    database = sqlite3.connect(f"{mode}.db", timeout=BUSY_SECONDS, isolation_level=None)
    assert database.execute(f"pragma journal_mode={mode}").fetchone()[0] == mode, f"no journal mode {mode}"
    database.execute("pragma synchronous=full")
    return database


def write(mode, who, rows):
    """Says each row once it is committed."""
    database = connect(mode)
    for row in range(rows):
        database.execute("begin immediate")
        database.execute("insert into rows values (?, ?, ?)", (who, row, bytes([row % 256]) * 3000))
        database.execute("commit")
        print(row, flush=True)


def start(mode, who, rows):
    command = [sys.executable, PROGRAM, os.getcwd(), "--write", mode, who, str(rows)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def check(mode):
    database = connect(mode)
    database.execute("create table rows (who text, row integer, bytes blob, unique (who, row))")
    database.execute("begin")
    database.execute("insert into rows values ('nobody', 0, '')")
    database.execute("rollback")
    steady, killed = start(mode, "steady", ROWS), start(mode, "killed", 10**6)
    committed = [killed.stdout.readline() for _ in range(ROWS // 3)]
    killed.send_signal(signal.SIGKILL)
    committed += killed.stdout.read().splitlines()
    assert steady.wait() == 0
    count = dict(database.execute("select who, count(*) from rows group by who"))
    assert count["steady"] == ROWS and count["killed"] >= len(committed) and "nobody" not in count, f"{mode}: {count}"
    assert database.execute("pragma integrity_check").fetchone()[0] == "ok"
    database.execute("delete from rows where row % 2")
    database.execute("vacuum")
    assert database.execute("select count(*) from rows where bytes = zeroblob(3000)").fetchone()[0] == 2
    database.close()
    again = connect(mode)
    assert again.execute("pragma integrity_check").fetchone()[0] == "ok"
    again.close()


os.chdir(sys.argv[1])
if sys.argv[2:3] == ["--write"]:
    write(sys.argv[3], sys.argv[4], int(sys.argv[5]))
else:
    for journal in ("wal", "delete", "truncate", "persist"):
        check(journal)
