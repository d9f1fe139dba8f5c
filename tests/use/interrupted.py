"""encode that is cut off: the ranks killed half-way (what is recorded is in the file, and the same command on another number of ranks makes the other rows alone), the disk filled half-way (74, and
the same command resumes when there is room), a disk that is too small from the start; several readers of a fit while it is fitted on."""
import os
import signal
import subprocess
import time

import h5py
import numpy

from descendants import ranks_below
from runs import Failure, Skip, command, empty_ini, fit, main, program, start

ROWS, BLOCK = 3000, 64


def make(scratch):
    """A factorized fit: new rows take long enough to be cut off. Rows have names."""
    generator = numpy.random.default_rng(3)
    with h5py.File(scratch / "d.h5", "w") as file:
        for name, rows in (("x", 60), ("y", ROWS)):
            file[name] = generator.normal(size=(rows, 3)) @ generator.normal(size=(3, 8)) + generator.normal(size=(rows, 8))
            file.create_dataset(f"{name}_names", data=[f"{name}{k}" for k in range(rows)], dtype=h5py.string_dtype())
            file[f"{name}_names"].make_scale("names")
            file[name].dims[0].attach_scale(file[f"{name}_names"])
    return fit(scratch / "fit", "model.name=ppca", "model.latent=3", "data.source=hdf5", f"data.path={scratch / 'd.h5'}", "data.dataset=x", "inference.function=factorized",
               "inference.family=gaussian_full", "optim.batch=20", "optim.epochs=2", "run.reproducible=yes", ini=empty_ini(scratch))


def encode(run, output):
    return [run, "run.task=encode", "data.dataset=y", f"rows.block={BLOCK}", "rows.tolerance=1e-10", f"run.output={output}"]


def rows_done(output):
    try:
        return int((output / "rows.h5.part.done").read_text().split("rows ")[2].split()[0])
    except (OSError, IndexError, ValueError):
        return -1


def until(child, output, rows):
    end = time.monotonic() + 60
    while rows_done(output) < rows and child.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    if child.poll() is not None:
        raise Failure(f"ended with {child.returncode} after {rows_done(output)} rows, before it was cut off")


def values(path):
    with h5py.File(path) as file:
        return {name: item[()] for name, item in file.items() if isinstance(item, h5py.Dataset) and "checksum" in item.attrs}


def same(what, a, b, rows=ROWS):
    for name in a:
        if a[name][:rows].tobytes() != b[name][:rows].tobytes():
            raise Failure(f"{what}: {name} has other bits")


def killed(scratch):
    run, whole, output = make(scratch), scratch / "whole", scratch / "killed"
    start(None, encode(run, whole))
    wanted = values(whole / "rows.h5")
    if set(wanted) != {"mean", "log_sd", "covariance", "converged", "row"} or wanted["row"][17] != b"y17":
        raise Failure(f"rows.h5 has {sorted(wanted)}")
    child = subprocess.Popen(command(2, encode(run, output)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(child, output, 5 * BLOCK)
    for pid in ranks_below(child, program()):
        os.kill(pid, signal.SIGKILL)
    child.wait(60)
    done = rows_done(output)
    if not 5 * BLOCK <= done < ROWS or done % BLOCK or (output / "rows.h5").exists():
        raise Failure(f"killed after {done} of {ROWS} rows")
    same("what was recorded when it was killed", values(output / "rows.h5.part"), wanted, done)
    said = start(3, encode(run, output))
    if f"after {done} rows" not in said:
        raise Failure(f"{done} rows were made: {said}")
    same("killed and resumed", values(output / "rows.h5"), wanted)
    if [p.name for p in output.iterdir()] != ["rows.h5"]:
        raise Failure(f"left behind: {sorted(p.name for p in output.iterdir())}")
    return f"2 ranks killed after {done} of {ROWS} rows, all of them in the file; resumed on 3, the same bits"


def full(scratch):
    run, disk = make(scratch), scratch / "disk"
    start(None, encode(run, scratch / "whole"))
    wanted = values(scratch / "whole/rows.h5")
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    try:
        output, stuffing = disk / "codes", disk / "stuffing"
        child = subprocess.Popen(command(2, encode(run, output)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        until(child, output, 3 * BLOCK)
        space = os.statvfs(disk)
        with open(stuffing, "wb", buffering=0) as file:
            try:
                file.write(bytes(space.f_bavail * space.f_frsize + 8192))
            except OSError:
                pass
        said = child.communicate(timeout=60)[1]
        if child.returncode != 74 or "No space left on device" not in said:
            raise Failure(f"the disk was filled half-way: exit status {child.returncode}, {said}")
        made = rows_done(output)
        stuffing.unlink()
        said = start(None, encode(run, output))
        if f"after {made} rows" not in said:
            raise Failure(f"{made} rows were made: {said}")
        same("resumed when there was room", values(output / "rows.h5"), wanted)
        before = (output / "rows.h5").read_bytes()
        stuffing.write_bytes(bytes(disk.stat().st_blksize and os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 65536))
        said = start(2, encode(run, disk / "other"), expect=(74,))
        left = sorted(str(p.relative_to(disk)) for p in disk.rglob("*") if p.is_file())
        if "No space left on device" not in said or left != ["codes/rows.h5", "stuffing"] or (output / "rows.h5").read_bytes() != before:
            raise Failure(f"a disk that is too small: {left}, {said}")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return f"a disk that was filled after {made} rows ends with 74 and is resumed; one that is too small is refused first"


def readers(scratch):
    """Two encode the same rows at once, again and again, while the fit goes on in its folder and removes its checkpoints."""
    run = make(scratch)
    going = subprocess.Popen(command(None, [run / "config.ini", "-q", f"run.output={run}", "optim.epochs=100000", "checkpoint.every=1", "checkpoint.keep=1"]), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        checkpoint = run / "checkpoint" / (run / "checkpoint/latest").read_text().strip()
        time.sleep(0.5)
        for round_ in range(3):
            both = [subprocess.Popen(command(None, [run, "run.task=encode", "-q", "data.dataset=y", "data.rows=100", f"run.output={scratch / f'{name}{round_}'}"]), stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for name in ("one", "two")]
            for reader in both:
                said = reader.communicate(timeout=60)[1]
                if reader.returncode:
                    raise Failure(f"a reader ended with {reader.returncode}: {said}")
        if going.poll() is not None:
            raise Failure(f"the fit ended with {going.returncode} while it was read")
        if checkpoint.exists():
            raise Failure("the fit did not go on")
    finally:
        going.terminate()
        going.wait(60)
    if going.returncode != 75:
        raise Failure(f"the fit ended with {going.returncode}, 75 expected")
    return "readers at once while the fit goes on: all end well, and so does the fit"


if __name__ == "__main__":
    main(killed, full, readers)
