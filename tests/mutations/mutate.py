#!/usr/bin/env python3
"""Puts defects into a copy of the sources, one at a time, and tells which tests turn red.

    mutate.py [--readme] [--only REGEX] [--keep FOLDER] [--green]
--readme writes the table into tests/README.md; --only takes the defects whose name or file matches; --keep builds in FOLDER and leaves it; --green: these tests are known to pass
at this commit, and are not run without a defect.
The copy is that of the last commit: the working tree is not touched. The tests named must be green without a defect. Ends with 0 when every defect is caught."""
import argparse
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

from defects import DEFECTS

SOURCE = pathlib.Path(__file__).resolve().parents[2]
README = SOURCE / "tests" / "README.md"
BEGIN, END = "<!-- mutations: begin -->", "<!-- mutations: end -->"
LIMIT = 90  # seconds of a test: a defect may make it hang


@dataclasses.dataclass
class Result:
    defect: object
    killer: str    # the first test that turned red, "" for none
    problem: str   # why the defect could not be tried
    seconds: float


class Copy:
    """The sources of a commit with a build folder."""

    def __init__(self, folder):
        self.folder, self.build = folder, folder / "build"
        self.environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
        (folder / "tmp").mkdir(exist_ok=True)

    def unpack(self):
        self.revision = git("describe", "--always", "--abbrev=12", "HEAD")
        with subprocess.Popen(["git", "-C", str(SOURCE), "archive", "HEAD"], stdout=subprocess.PIPE) as archive:
            with tarfile.open(fileobj=archive.stdout, mode="r|") as tar:
                tar.extractall(self.folder)
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        self.must(["cmake", "-S", str(self.folder), "-B", str(self.build), *generator])

    def call(self, words, limit=1800):
        return subprocess.run(["nice", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment, timeout=limit)

    def must(self, words):
        done = self.call(words)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def choose(self, patterns):
        """{number of ctest: test} of what these patterns name. Python looks for them: all together they are too long for ctest's -R."""
        listed = json.loads(self.must(["ctest", "--test-dir", str(self.build), "--show-only=json-v1"]))["tests"]
        chosen = {}
        for pattern in patterns:
            found = {number: test for number, test in enumerate(listed, 1) if re.search(pattern, test["name"])}
            if not found:
                raise SystemExit(f"no test has a name like {pattern}")
            chosen.update(found)
        return chosen

    def targets(self, patterns):
        """What must be built for these tests: the program, the table that whole runs ask, and what their commands name in the folder of test programs."""
        words = [word for test in self.choose(patterns).values() for word in test.get("command", [])]
        named = {pathlib.Path(word).name for word in words if word.startswith(str(self.build / "tests") + "/")}
        return sorted({"avi_mpi", "registry_table"} | {re.sub(r"^lib(.*)\.so$", r"\1", name) for name in named})

    def make(self, targets):
        """What the compiler said, "" when it built."""
        done = self.call(["cmake", "--build", str(self.build), "-j", "2", "--target", *targets])
        return "" if done.returncode == 0 else done.stdout[-1500:] + done.stderr[-500:]

    def test(self, patterns):
        """The first test that fails, "" when all pass."""
        numbers = ",".join(str(number) for number in sorted(self.choose(patterns)))
        done = self.call(["ctest", "--test-dir", str(self.build), "-I", f"0,0,0,{numbers}", "--stop-on-failure", "--timeout", str(LIMIT)])
        self.end_processes()
        failed = re.findall(r"Test +#\d+: (\S+) \.*\*\*\*(?!Skipped)", done.stdout)
        if not failed and ("***Skipped" in done.stdout or done.returncode):
            raise SystemExit(f"{', '.join(patterns)} did not run: {done.stdout[-1500:]}")
        return failed[0] if failed else ""

    def end_processes(self):
        """Ranks of a test that was ended for its time: what runs a program of this copy is ours."""
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and str((entry / "exe").readlink()).startswith(str(self.build) + "/"):
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue


def git(*words):
    return subprocess.run(["git", "-C", str(SOURCE), *words], check=True, capture_output=True, text=True).stdout.strip()


def attempt(copy, defect):
    began = time.monotonic()
    path = copy.folder / defect.file
    text = path.read_text()
    if text.count(defect.old) != 1:
        return Result(defect, "", f"its text occurs {text.count(defect.old)} times in {defect.file}", 0)
    path.write_text(text.replace(defect.old, defect.new))
    try:
        problem = copy.make(copy.targets([defect.tests]))
        killer = "" if problem else copy.test([defect.tests])
    finally:
        path.write_text(text)
    return Result(defect, killer, problem, time.monotonic() - began)


def table(results, revision):
    caught = sum(bool(r.killer) for r in results)
    lines = [f"Revision {revision}, {time.strftime('%Y-%m-%d')}: {caught} of {len(results)} defects turn a test red.", "",
             "| defect | in | first red test |", "|---|---|---|"]
    for r in results:
        lines.append(f"| {r.defect.name} | `{r.defect.file.removeprefix('src/')}` | {f'`{r.killer}`' if r.killer else '**none**'} |")
    return "\n".join(lines)


def write_table(text):
    whole = README.read_text()
    before, rest = whole.split(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


def round_of(copy, chosen, known):
    copy.unpack()
    tests = sorted({d.tests for d in chosen})
    problem = copy.make(copy.targets(tests))
    red = problem or ("" if known else copy.test(tests))
    if red:
        raise SystemExit(f"without a defect: {red}")
    print(f"revision {copy.revision}, {'known to be green' if known else 'all green'} without a defect", flush=True)
    results = []
    for defect in chosen:
        r = attempt(copy, defect)
        results.append(r)
        print(f"{'caught  ' if r.killer else 'ERROR   ' if r.problem else 'SURVIVED'} {r.seconds:5.1f} s  {defect.file}: {defect.name}: {r.killer or r.problem or defect.tests}", flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readme", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep")
    parser.add_argument("--green", action="store_true")
    options = parser.parse_args()
    chosen = [d for d in DEFECTS if re.search(options.only, f"{d.file} {d.name}")]
    if subprocess.run(["git", "-C", str(SOURCE), "rev-parse", "HEAD"], capture_output=True).returncode:
        print("skipped: the sources are not a git repository")
        sys.exit(77)
    folder = pathlib.Path(options.keep or tempfile.mkdtemp(prefix="avi-mut-"))
    folder.mkdir(exist_ok=True)
    began = time.monotonic()
    try:
        copy = Copy(folder)
        results = round_of(copy, chosen, options.green)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    left = [r for r in results if not r.killer]
    print(f"{len(results)} defects, {len(results) - len(left)} caught, {time.monotonic() - began:.0f} s")
    if options.readme:
        write_table(table([r for r in results if not r.problem], copy.revision))
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
