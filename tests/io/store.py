#!/usr/bin/env python3
"""Stores, seen from outside: store.py CASE TOOL [FOLDER]. Cases: ranks, h5py, full_disk, read_only, lock, kill.

TOOL is store_tool.c compiled. Exit status 77: skipped, and the line says why."""
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MPIRUN = shlex.split(os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"))
MASK = (1 << 64) - 1


def checksum(data, row_bytes, first=0):
    """The row checksum of src/store/store_internal.h, written a second time."""
    total = 0
    for row in range(len(data) // row_bytes if row_bytes else 0):
        h = 0xcbf29ce484222325 ^ ((first + row + 1) * 0x9e3779b97f4a7c15 & MASK)
        part = data[row * row_bytes:(row + 1) * row_bytes]
        for at in range(0, row_bytes, 8):
            h = (h ^ int.from_bytes(part[at:at + 8], "little")) * 0x100000001b3 & MASK
            h ^= h >> 32
        h = (h ^ h >> 29) * 0xd6e8feb86659fd93 & MASK
        total += h ^ h >> 32
    return total & MASK


def run(tool, np, *arguments, timeout=60):
    """Exit status and all that was printed; a hang is a failure."""
    done = subprocess.run(MPIRUN + ["-n", str(np), tool, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
    return done.returncode, done.stdout


def must(tool, np, *arguments):
    code, out = run(tool, np, *arguments)
    assert code == 0, f"{arguments} at {np} ranks: exit {code}\n{out}"
    return out


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def case_ranks(tool, folder):
    files = []
    for np in (1, 2, 3, 4):
        must(tool, np, "write", folder / f"np{np}.h5")
        files.append((folder / f"np{np}.h5").read_bytes())
    assert all(f == files[0] for f in files), "files differ with the number of ranks"
    for np in (1, 2, 3, 4):
        must(tool, np, "read", folder / f"np{5 - np}.h5")


def case_h5py(tool, folder):
    try:
        import h5py
        import numpy
    except ImportError as missing:
        skip(f"{missing} ({sys.executable})")
    must(tool, 3, "write", folder / "a.h5")
    expected = {
        "local/mean": ((103, 3), "<f4", lambda k: k % 4096 / 8 - 0), "local/index": ((103,), "<i8", lambda k: k * k - 1000),
        "local/pixels": ((103, 5, 7), "|u1", lambda k: (k * 7 + 2) % 251), "global/w": ((4, 6), "<f8", lambda k: k / 3 + 3),
        "global/loss": ((), "<f8", lambda k: k / 3 + 4), "few": ((2, 2), "<f8", lambda k: k / 3 + 5),
        "empty/rows": ((0, 4), "<f4", None), "empty/columns": ((5, 0), "<f4", None), "empty/whole": ((0,), "<i8", None)}
    with h5py.File(folder / "a.h5", "r") as f:
        names = []
        f.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert sorted(names) == sorted([*expected, "config/ini", "config/none"]), names
        for name, (shape, kind, value) in expected.items():
            d = f[name]
            assert d.shape == shape and d.dtype == numpy.dtype(kind) and d.chunks is None, (name, d)
            if value:
                assert (d[()] == value(numpy.arange(d.size)).reshape(shape).astype(kind)).all(), name
            row = d.dtype.itemsize * (d.size // (shape[0] or 1) if shape else 1)
            assert d.attrs["checksum"].decode() == f"{checksum(d[()].tobytes(), row):016x}", name
            assert all(a in d.attrs for a in ("description", "units", "axes")), name
        assert f["config/ini"][()].decode() == "[run]\nseed = 1 ; \u00e9t\u00e9\n"
        assert f["config/none"][()] == b""
        text = f["config/ini"][()] + b"\0"
        assert f["config/ini"].attrs["checksum"].decode() == f"{checksum(text, len(text)):016x}"
        assert f["local/mean"].attrs["axes"].decode() == "row, dimension" and f["global/loss"].attrs["units"].decode() == "nats"
        assert f["global/loss"].attrs["axes"] == b"" and f["local/mean"].attrs["draws"] == 3
        assert f.attrs["format"] == b"avi_mpi test" and len(f["provenance"].attrs["argv"]) == 100000
        assert f["provenance"].attrs["seed"] == -9007199254740993 and f["provenance/more"].attrs["rate"] == 0.1
    if shutil.which("h5dump"):
        subprocess.run(["h5dump", str(folder / "a.h5")], check=True, stdout=subprocess.DEVNULL)


class Mount:
    """A file system of our own in memory; skips where it cannot be had."""

    def __init__(self, where, options):
        self.where = where
        where.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], capture_output=True, text=True)
        if done.returncode:
            skip(f"no small file system can be mounted here: {done.stderr.strip()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", str(self.where)], check=True)


def case_full_disk(tool, folder):
    with Mount(folder / "disk", "size=2m"):
        target = folder / "disk" / "a.h5"
        must(tool, 2, "write", target)
        before = target.read_bytes()
        for np in (1, 2, 3, 4):
            code, out = run(tool, np, "fill", target, 8000000)
            assert code == 74, (np, code, out)
            assert re.search(r"a\.h5\.tmp: .*No space left on device: 80\d{5} bytes needed, \d+ free", out), out
            assert target.read_bytes() == before and [p.name for p in target.parent.iterdir()] == ["a.h5"]
        # Fill up so that less and less is free: each write is done whole, or refused and leaves the old file.
        outcomes = set()
        stuffing = folder / "disk" / "stuffing"
        for free in (0, 8192, 117000, 240000, 300000, 320000, 340000, 360000, 400000):
            stuffing.unlink(missing_ok=True)
            space = os.statvfs(target.parent)
            stuffing.write_bytes(bytes(max(0, space.f_bavail * space.f_frsize - free)))
            code, out = run(tool, 3, "write", target)
            outcomes.add(code)
            assert code in (0, 74), (free, code, out)
            assert target.read_bytes() == before and sorted(p.name for p in target.parent.iterdir()) == ["a.h5", "stuffing"], free
        assert outcomes == {0, 74}, outcomes
        stuffing.unlink()
        space = os.statvfs(target.parent)
        stuffing.write_bytes(bytes(space.f_bavail * space.f_frsize))
        code, out = run(tool, 2, "open", folder / "disk" / "run")
        assert code == 74 and re.search(r"run/lock: .*No space left on device: \d+ bytes needed, 0 free", out), (code, out)
        assert not (folder / "disk" / "run" / "lock").exists()


def case_read_only(tool, folder):
    with Mount(folder / "disk", "ro,size=1m"):
        for np, action, place, words in ((1, "write", "a.h5", "a.h5.tmp: cannot create: Read-only file system"),
                                         (4, "write", "a.h5", "a.h5.tmp: cannot create: Read-only file system"),
                                         (2, "open", "run", "cannot make the folder: Read-only file system"),
                                         (3, "open", "", "cannot create")):
            code, out = run(tool, np, action, folder / "disk" / place)
            assert code == 73 and words in out, (np, action, code, out)


def start(tool, np, *arguments):
    return subprocess.Popen(MPIRUN + ["-n", str(np), tool, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def case_lock(tool, folder):
    place = folder / "run"
    holder = start(tool, 2, "hold", place)
    try:
        pid, host = re.match(r"pid (\d+) host (\S+)", holder.stdout.readline()).groups()
        for np in (1, 3):
            code, out = run(tool, np, "open", place)
            words = rf"output folder \S*run is in use by process {pid} on host {re.escape(host)} since 20\d\d-\d\d-\d\dT[\d:]+Z; choose another run.output or wait"
            assert code == 73 and re.search(words, out), (code, out)
        os.kill(int(pid), signal.SIGKILL)
    finally:
        holder.terminate() if holder.poll() is None and "pid" not in locals() else None
        holder.communicate(timeout=30)
    assert (place / "lock").exists(), "the killed holder left its lock"
    out = must(tool, 2, "open", place)
    assert f"process {pid} on host {host}" in out and "taken over" in out, out
    assert not (place / "lock").exists()
    (place / "lock").write_text("host elsewhere\npid 77\nsince 2026-01-01T00:00:00Z\n")
    out = must(tool, 1, "open", place)
    assert "process 77 on host elsewhere" in out, out
    (place / "lock").write_bytes(b"\0\xff" * 4000)
    must(tool, 1, "open", place)


def case_kill(tool, folder):
    newest, first = 0, 1
    for turn in range(6):
        writer = start(tool, 2, "checkpoints", folder / "run", first)
        pids, steps, end = [], [newest], time.time() + 20
        while len(pids) < 2 or len(steps) < 3 + turn:
            line = writer.stdout.readline()
            assert line and time.time() < end, "the writer ended by itself"
            if line.startswith("pid "):
                pids.append(int(line.split()[1]))
            elif line.startswith("step "):
                steps.append(int(line.split()[1]))
        time.sleep(0.004 * turn)
        os.kill(pids[turn % 2], signal.SIGKILL)
        rest = writer.communicate(timeout=30)[0]
        steps += [int(s) for s in re.findall(r"^step (\d+)$", rest, re.M)]
        out = must(tool, 1 + turn % 3, "find", folder / "run")
        newest = int(re.search(r"^found (-?\d+)$", out, re.M).group(1))
        of_run = int(re.search(r"^run.h5 (\d+)$", out, re.M).group(1))
        assert newest >= steps[-1] and of_run >= newest, (newest, of_run, steps, out)
        first = newest + 1


def main():
    case, tool = sys.argv[1], sys.argv[2]
    with tempfile.TemporaryDirectory(prefix="avi_io_") as folder:
        globals()["case_" + case](tool, pathlib.Path(folder))
    print(case, "good")


if __name__ == "__main__":
    main()
