#!/usr/bin/env python3
"""jobs/paper.sh from end to end, with very few steps: what it leaves, that it goes on where it stopped, and what it refuses."""
import csv
import os
import pathlib
import subprocess
import sys

from paper import SOURCE, Failure, main


def paper(folder, *arguments, expect=0):
    environment = dict(os.environ, PAPER_OUTPUT=str(folder), SEEDS="1", NP="2")
    done = subprocess.run([SOURCE / "jobs" / "paper.sh", *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280)
    if done.returncode != expect:
        raise Failure(f"paper.sh {' '.join(arguments)}: exit status {done.returncode}, not {expect}\n{done.stdout[-1500:]}{done.stderr[-2500:]}")
    return done.stdout + done.stderr


def table(folder):
    with open(folder / "table.csv", newline="") as f:
        return {row["method"]: row for row in csv.DictReader(f)}


def pictures(folder, *names):
    for name in names:
        if (folder / name).read_bytes()[:4] != b"\x89PNG":
            raise Failure(f"{folder / name} is not a picture")


def job(scratch):
    paper(scratch, "saw", "hmm", "--quick", "optim.steps=40")
    saw, hmm = scratch / "saw_quick", scratch / "hmm_quick"
    pictures(saw, "loss.png", "gap.png")
    pictures(hmm, "hmm.png")
    found = table(saw)["F-VI"]
    if (found["closed form"], found["best without noise"], found["paper's best"]) != ("553.01", "553.01", "553.08"):
        raise Failure(f"table of saw: {found}")
    if not table(hmm).keys() >= {"F-VI", "constant", "self, degree 1", "window:16, degree 1", "next, k = 16"}:
        raise Failure(f"table of hmm: {list(table(hmm))}")
    files = sorted(pathlib.Path(saw).glob("*/*/run.h5"))
    times = [f.stat().st_mtime_ns for f in files]
    paper(scratch, "saw", "--quick", "optim.steps=40")
    if [f.stat().st_mtime_ns for f in files] != times:
        raise Failure("runs that were done were done again")
    return [f"{len(files)} runs of saw, kept by the second call"]


def refusals(scratch):
    os.environ["AVI_MNIST_DIR"] = str(scratch)
    for arguments, status, words in ((["sow"], 64, "jobs/paper.sh"), (["vae", "--quick"], 66, "AVI_MNIST_DIR"), (["saw", "optim.stepz=3"], 78, "stepz")):
        text = paper(scratch, *arguments, expect=status)
        if words not in text:
            raise Failure(f"paper.sh {' '.join(arguments)} does not say {words!r}: {text[-500:]}")
    return ["3 refusals"]


def records(scratch):
    """A record keeps what it has of methods that the folder has no runs of, and the line that says what runs these are."""
    sys.path.insert(0, str(SOURCE / "analysis"))
    import paper_runs

    head = "| method | loss |\n| --- | ---: |\n"
    old = f"# saw\n\n{head}| F-VI | 2 |\n| k = 4 | 3 |\n\nWords.\n2 runs, revision a.\n"
    new = f"# saw, again\n\n{head}| F-VI | 1 |\n| F-VI | 1.5 |\n\nOther words.\n2 runs, revision b.\n"
    merged = paper_runs.merge_pages(old, new)
    if merged != f"# saw, again\n\n{head}| F-VI | 1 |\n| F-VI | 1.5 |\n| k = 4 | 3 |\n\nOther words.\n2 runs, revision b.\n\nOf k = 4: 2 runs, revision a.\n":
        raise Failure(f"the page: {merged}")
    again = paper_runs.merge_pages(merged, new)
    if again != merged:
        raise Failure(f"recorded twice: {again}")
    for other in (old, new):
        if paper_runs.merge_pages(other, old.replace("| 2 |", "| 5 |")) != old.replace("| 2 |", "| 5 |"):
            raise Failure("a page with every method of the record is not the record")
    lines = paper_runs.merge_runs('method,seed\n"k = 4, notebook",1\nk = 4,1\n', 'method,seed\nk = 4,2\nk = 4,3\n')
    if lines != 'method,seed\nk = 4,2\nk = 4,3\n"k = 4, notebook",1\n':
        raise Failure(f"the runs: {lines}")
    return ["rows of other methods stay"]


if __name__ == "__main__":
    main(job, refusals, records)
