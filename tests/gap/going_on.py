"""A ledger that is killed resumes from the blocks that were done, on another number of ranks too, with the same bits; what was kept goes when the results are written."""
import re
import signal
import subprocess
import time

from runs import Failure, command, empty_ini, expect_same_bits, fit, main, small_data, start, status

ROWS = 5000
COMMON = [*small_data("nonlinear"), f"data.rows={ROWS}", "inference.function=mlp", "inference.hidden=6", "optim.batch=500", "optim.tile=20", "optim.steps=6", "run.reproducible=yes", "run.after=gap",
          "gap.draws=400", "gap.save=0"]


def killed(scratch, ini, name):
    """A run that is killed as soon as its first part is there."""
    folder = scratch / name
    run = subprocess.Popen(command(None, [ini, "-q", f"run.output={folder}", *COMMON]), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part, late = folder / "parts" / "gap_train_000000.h5", time.monotonic() + 100
    while not part.exists() and run.poll() is None and time.monotonic() < late:
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.wait()
    if not part.exists():
        raise Failure("the run ended before it kept a part")
    if status(folder) != "running":
        raise Failure(f"a run killed in its ledger says {status(folder)}")
    return folder


def going_on(scratch):
    ini = empty_ini(scratch)
    whole = fit(scratch / "whole", *COMMON, ini=ini)
    if (whole / "parts").exists():
        raise Failure("parts are left after the results were written")
    folder, parts = killed(scratch, ini, "killed"), None
    parts = len(list((folder / "parts").glob("*.h5")))
    said = start(2, [ini, f"run.output={folder}", *COMMON])
    found = re.search(r"resumed: (\d+) of 5000 rows \(gap_train\) were done before", said)
    if not found or not 1000 <= int(found.group(1)) < ROWS:
        raise Failure(f"{parts} parts were kept, and the run says\n{said}")
    expect_same_bits(folder, whole, "killed and resumed, 2 ranks")
    if status(folder) != "done" or (folder / "parts").exists():
        raise Failure(f"status {status(folder)}; parts left: {(folder / 'parts').exists()}")
    return f"{found.group(1)} of {ROWS} rows were kept, and not done again"


def others(scratch):
    """Rows that were made with other settings, and damaged parts, are not used."""
    ini = empty_ini(scratch)
    folder = killed(scratch, ini, "killed")
    said = start(None, [ini, f"run.output={folder}", *COMMON, "gap.draws=300"])
    if "resumed:" in said or (folder / "parts").exists():
        raise Failure(f"rows of other settings were used:\n{said}")
    folder = killed(scratch, ini, "damaged")
    part = folder / "parts" / "gap_train_000000.h5"
    raw = bytearray(part.read_bytes())
    raw[len(raw) // 2] ^= 255
    part.write_bytes(raw)
    start(None, [ini, f"run.output={folder}", *COMMON])
    expect_same_bits(folder, fit(scratch / "whole", *COMMON, ini=ini), "resumed beside a damaged part")
    return "parts of other settings and damaged ones are passed over"


if __name__ == "__main__":
    main(going_on, others)
