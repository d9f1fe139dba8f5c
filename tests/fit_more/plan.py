"""What --dry-run says of the peak of memory, against the peak of the run itself: within 15 %."""
import re
import subprocess
import sys

from small import data  # noqa: F401  first: it says where runs is
from runs import Failure, command, empty_ini, main

PEAK = 'import resource,subprocess,sys\nstatus = subprocess.call(sys.argv[1:])\nprint(f"peak {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}", file=sys.stderr)\nsys.exit(status)\n'
MODEL, WITHIN = "data.source=model", 0.15
CASES = [
    ("vae", 1, ["model.name=vae", "data.source=strokes", "data.rows=2000", "optim.steps=4", "log.eval_every=-1"]),
    ("F-VI in single precision", 2, [MODEL, "model.name=linear", "inference.function=factorized", "data.rows=1e6", "optim.steps=4", "optim.batch=10000", "log.eval_every=-1"]),
    ("results of every row of an amortized run", 1, [MODEL, "model.name=linear", "inference.function=polynomial", "data.rows=5e5", "optim.steps=4", "optim.batch=10000", "output.local=yes",
                                                     "log.eval_every=-1"]),
    ("exact", 1, [MODEL, "run.task=exact", "model.name=hmm", "data.rows=3e5"]),
]


def run(ranks, arguments):
    words = command(ranks if ranks > 1 else None, arguments)
    at = len(words) - len(arguments) - 1
    done = subprocess.run([*words[:at], sys.executable, "-c", PEAK, *words[at:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200)
    if done.returncode:
        raise Failure(f"exit status {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def peak(scratch):
    said = []
    for number, (name, ranks, arguments) in enumerate(CASES):
        given = [empty_ini(scratch), f"run.output={scratch / str(number)}", *arguments]
        plan = re.search(r"peak memory +about ([\d.]+) (kB|MB|GB)", run(ranks, [*given, "--dry-run"]))
        if not plan:
            raise Failure(f"{name}: --dry-run names no peak")
        planned, used = float(plan.group(1)) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[plan.group(2)], max(int(kb) for kb in re.findall(r"peak (\d+)", run(ranks, [*given, "-q", "--fresh"]))) * 1024
        if abs(planned / used - 1) > WITHIN:
            raise Failure(f"{name}: {planned / 1e6:.1f} MB planned, {used / 1e6:.1f} MB used")
        said.append(f"{name} {planned / used:.2f}")
    return ", ".join(said)


if __name__ == "__main__":
    main(peak)
