#!/usr/bin/env python3
"""gcc -fanalyzer, cppcheck and clang-tidy over src; a finding that accepted.txt does not list fails.

    run.py [--tool NAME] [--list] [FILE ...]      NAME: analyzer, cppcheck, clang-tidy; FILE: sources, all without

The compile commands come from the build folder (AVI_BUILD_DIR). A tool that is not installed is skipped; status 77 when none is."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(os.environ.get("AVI_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2])).resolve()
BUILD = pathlib.Path(os.environ.get("AVI_BUILD_DIR", SOURCE / "build")).resolve()
HERE = pathlib.Path(__file__).resolve().parent
# These define what model.h describes.
DEFINES = {"src/base/comm.c": ["-DAVI_MODEL_DEFINES_AGREE"], "src/base/status.c": ["-DAVI_MODEL_DEFINES_FAIL"], "src/config/config_source.c": ["-DAVI_MODEL_DEFINES_FAIL"]}
FINDING = re.compile(r"^(?P<file>[^\s:]+):(?P<line>\d+):(?:\d+:)? (?P<kind>warning|error|performance|portability|style): (?P<text>.*) \[(?P<name>[^\]]+)\]$")


def commands():
    """{file: words of the compiler} of src, once each (kernels are compiled twice)."""
    found = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if SOURCE / "src" not in path.parents:
            continue
        words = shlex.split(entry["command"])
        words = words[1:] if words[0].endswith("ccache") else words
        at = words.index("-o")
        del words[at:at + 2]
        found[str(path.relative_to(SOURCE))] = [w for w in words[:-1] if w != "-c" and not w.startswith(("-O", "-W", "-D_FORTIFY", "-U_FORTIFY", "-march"))]
    return found


def model(file):
    text = (SOURCE / file).read_text()
    own = [f"-DAVI_MODEL_DEFINES_{what.upper()}" for what, name in (("agree", "avi_agree"), ("fail", "avi_fail"), ("fail", "avi_fail_memory"), ("fail", "avi_config_fail"))
           if re.search(rf"^avi_status {name}\(", text, re.M)]
    return [*own, f"-I{SOURCE}/include", f"-I{SOURCE}/src", "-include", str(HERE / "model.h")]


def output(words):
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", cwd=SOURCE)
    return done.stdout + done.stderr


def analyzer(file, words):
    return output([*words, *model(file), "-O1", "-fanalyzer", "-fdiagnostics-plain-output", "-fno-diagnostics-show-cwe", "-c", "-o", "/dev/null", str(SOURCE / file)])


def cppcheck(file, words):
    include = [w for w in words if w.startswith(("-DAVI_SINGLE", "-D_POSIX"))]
    return output(["cppcheck", "-q", "--std=c11", "--enable=warning,performance,portability", "--inline-suppr", "--suppress=missingIncludeSystem", "-D__GNUC__=12", *include,
                   f"-I{SOURCE}/include", f"-I{SOURCE}/src", "--template={file}:{line}: {severity}: {message} [{id}]", str(SOURCE / file)])


def clang_tidy(file, words):
    return output(["clang-tidy", "--quiet", str(SOURCE / file), "--", *(w for w in words[1:] if not w.startswith(("-fno-math", "-fno-trapping", "-mprefer", "-ffp", "-fstack"))), *model(file)])


TOOLS = {"analyzer": (None, analyzer), "cppcheck": ("cppcheck", cppcheck), "clang-tidy": ("clang-tidy", clang_tidy)}


def accepted():
    """(tool, file, name of the check, words, why) of every line "TOOL FILE CHECK | WORDS | WHY"."""
    found = []
    for line in (HERE / "accepted.txt").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        place, words, why = (part.strip() for part in line.split("|", 2))
        tool, file, name = place.split()
        found.append([tool, re.compile(file.replace("*", ".*") + "$"), re.compile(name.replace("*", ".*") + "$"), words, why, 0])
    return found


def findings(tool, file, words):
    seen = set()
    for line in TOOLS[tool][1](file, words).splitlines():
        match = FINDING.match(line)
        if not match:
            continue
        path = pathlib.Path(match["file"])
        path = (path if path.is_absolute() else SOURCE / path).resolve()
        if SOURCE in path.parents:
            at = str(path.relative_to(SOURCE))
            where = "" if at == file else f" (in {at}:{match['line']})"  # a macro's line says nothing: the file it is in does
            seen.add((file, 0 if where else int(match["line"]), match["name"].split(",")[0], match["text"] + where))
    return sorted(seen)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tool", choices=TOOLS)
    p.add_argument("--list", action="store_true", help="print accepted findings, too")
    p.add_argument("files", nargs="*")
    a = p.parse_args()
    tools = [t for t in TOOLS if (not a.tool or t == a.tool) and (not TOOLS[t][0] or shutil.which(TOOLS[t][0]))]
    if not tools:
        print("skipped: neither cppcheck nor clang-tidy is installed")
        return 77
    every, list_of_accepted, new, old = commands(), accepted(), 0, 0
    files = [str(pathlib.Path(f).resolve().relative_to(SOURCE)) for f in a.files] or sorted(every)
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("AVI_STATIC_JOBS", os.cpu_count() or 1))) as pool:
        jobs = {(tool, file): pool.submit(findings, tool, file, every[file]) for tool in tools for file in files if file in every}
        told = set()
        for (tool, _), job in jobs.items():
            for file, line, name, text in job.result():
                if (tool, file, line, name, text) in told:
                    continue
                told.add((tool, file, line, name, text))
                match = next((x for x in list_of_accepted if x[0] == tool and x[1].match(file) and x[2].match(name) and x[3] in text), None)
                if match:
                    match[5] += 1
                    old += 1
                if not match or a.list:
                    print(f"{tool}: {file}:{line}: {text} [{name}]{' accepted: ' + match[4] if match else ''}", flush=True)
                new += not match
    stale = [x for x in list_of_accepted if not x[5] and x[0] in tools] if not a.files else []
    for x in stale:
        print(f"accepted.txt: {x[0]} finds nothing of {x[1].pattern} {x[2].pattern} '{x[3]}': take the line away")
    print(f"{len(files)} files by {', '.join(tools)}: {new} new findings, {old} accepted")
    return 1 if new or stale else 0


if __name__ == "__main__":
    sys.exit(main())
