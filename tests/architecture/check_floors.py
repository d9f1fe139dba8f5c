#!/usr/bin/env python3
"""Checks that the house stands as it was drawn (C sources under src/ and include/avi/).

- A file includes only headers of its own floor or of lower ones; public headers include public headers only.
- Message passing and HDF5 are used only where they may be: base/comm*, data/, linalg/, io/.
- Plug-ins and the tape open no files.
- A file has at most 400 lines, a folder at most 30 files and 2,800 lines; nothing unfinished is marked in it; no variable is named I.

    check_floors.py [ROOT]        check the tree (default: AVI_SOURCE_DIR, else the tree this script is in)
    check_floors.py --self-test   build a small sound tree, plant one violation at a time, expect each to be found
Exit status 0: sound; 1: violations, one a line as file:line: what is wrong; what to use.
"""
import os
import pathlib
import re
import sys
import tempfile

FLOOR = {"base": 0, "sum": 0, "config": 1, "data": 2, "source": 2, "hdf5": 2, "param": 3, "products": 3, "tape": 3, "density": 3, "nn": 3, "linalg": 3, "model": 4, "likelihood": 4, "infer": 4,
         "family": 4, "objective": 4, "optim": 4, "graph": 5, "reduce": 5, "newton": 5, "elbo": 5, "store": 6, "io": 6, "session": 7, "state": 7, "fitted": 7, "checkpoint": 7, "output": 7,
         "factors": 8, "train": 8, "closed_form": 8, "gap": 8, "diagnose": 8, "rows": 8, "idata": 8, "plan": 9, "tasks": 9, "sweep": 9, "run": 9, "verify": 9, "cli": 9}

# Public headers whose name is not the name of their floor's folder.
HEADER = {"arena.h": "base", "comm.h": "base", "fixed_point.h": "sum", "registry.def": "cli", "registry.h": "config", "rng.h": "base", "status.h": "base",
          "partition.h": "data", "store.h": "store", "column_moments.h": "data", "kernel.h": "base", "vmath.h": "base",
          "plugin.h": "run", "run.h": "run"}

# Who may call what. A pattern, the places (path prefixes under src/), what it is called, what to use elsewhere.
GUARDED = [
    (re.compile(r"\bP?MPI_\w+|\bavi_comm_mpi\b|<mpi\.h>|\"base/comm_mpi\.h\""), ("base/comm", "data/", "source/", "hdf5/", "linalg/", "store/", "io/"), "message passing",
     "use the functions of avi/comm.h"),
    (re.compile(r"\bH5\w+|<hdf5(_hl)?\.h>"), ("data/", "source/", "hdf5/", "store/", "io/"), "HDF5", "use a function of hdf5/ or store/"),
    (re.compile(r"\b(Cblacs_\w+|Csys2blacs_\w+|p[sd](potr[fsi]|gemm|gemr2d|trsm|trmm|syrk|syev\w*|gesv\w*)_)|\"linalg/scalapack\.h\""),
     ("linalg/",), "ScaLAPACK", "use avi/linalg.h"),
    (re.compile(r"\bdnnl_\w+|\bDNNL_\w+|<dnnl\.h>"), ("nn/onednn",), "oneDNN", "use avi_convolve and avi_convolve_transposed"),
]
NO_FILES = ("sum/", "products/", "tape/", "param/", "density/", "nn/", "model/", "infer/", "family/", "objective/", "optim/", "graph/", "reduce/", "newton/", "elbo/")
FILE_CALL = re.compile(r"(?<![.>])\b(fopen|open|creat|freopen|unlink|rename)\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
NAMED_I = re.compile(r"\b(?:int|long|size_t|u?int\d+_t|float|double|real)\s+(?:\*\s*)?I\b\s*[=;,\[)]")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"][^>"]+[>"])')
MAX_LINES = 400
MAX_FILES, MAX_FOLDER_LINES = 30, 2800

TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_lines(text):
    """The lines without comments and strings (names of #include stay): what the compiler acts on."""
    includes = {n for n, line in enumerate(text.split("\n")) if INCLUDE.match(line)}
    lines = TOKENS.sub(lambda m: '""' + "\n" * m.group().count("\n") if m.group()[0] != "/" else " " + "\n" * m.group().count("\n"), text).split("\n")
    original = text.split("\n")
    return [re.sub(r"/\*.*?(\*/|$)|//.*", "", original[n]) if n in includes else line for n, line in enumerate(lines)]


def header_floor(name):
    """The folder that a public header belongs to, None when nobody has said."""
    return HEADER.get(name) or (name[:-2] if name.endswith(".h") and name[:-2] in FLOOR else None)


def own_floor(path, root):
    """(folder, path under src/ or include/avi/, public) of a file; folder None when it is not on any floor."""
    part = path.relative_to(root).parts
    if part[0] == "include":
        return header_floor(part[-1]), part[-1], True
    if len(part) == 2:
        return ("cli" if part[1] == "main.c" else None), part[1], False
    return (part[1] if part[1] in FLOOR else None), "/".join(part[1:]), False


def check_include(where, name, folder, public, exists_beside):
    quoted, name = name[0] == '"', name[1:-1]
    if not quoted:
        return []
    if name.startswith("avi/"):
        target = header_floor(name[4:])
        if target is None:
            return [f"{where}: {name} is on no floor; name it in HEADER of tests/architecture/check_floors.py"]
    elif public:
        return [f"{where}: a public header includes the private {name}; public headers include avi/ only"]
    elif "/" in name:
        target = name.split("/")[0]
        if target not in FLOOR:
            return [f"{where}: {name} is on no floor; src/FOLDER/ with FOLDER one of {', '.join(FLOOR)}"]
    elif exists_beside(name):
        target = folder
    else:
        return [f"{where}: {name} is not beside the file; write it as folder/{name}"]
    if FLOOR[target] > FLOOR[folder]:
        return [f"{where}: {folder} (floor {FLOOR[folder]}) includes {name} of {target} (floor {FLOOR[target]}); "
                "use its own floor and lower ones"]
    return []


def check_line(where, line, below_src):
    found = []
    for pattern, places, what, serves in GUARDED:
        hit = pattern.search(line)
        if hit and not below_src.startswith(places):
            found.append(f"{where}: {hit.group()} is {what}, which only {', '.join(places)} may use; {serves}")
    hit = FILE_CALL.search(line)
    if hit and below_src.startswith(NO_FILES):
        found.append(f"{where}: {hit.group(1)} opens or changes a file; data/ reads and io/ writes")
    if NAMED_I.search(line):
        found.append(f"{where}: a variable named I, which <complex.h> (brought by cblas.h) takes; use another name")
    return found


def check_file(path, root):
    name = path.relative_to(root)
    folder, below, public = own_floor(path, root)
    if folder is None:
        return [f"{name}:1: the file is on no floor; " + ("name it in HEADER of tests/architecture/check_floors.py" if public else
                f"src/FOLDER/ with FOLDER one of {', '.join(FLOOR)}")]
    text = path.read_text(encoding="utf-8")
    found = []
    count = text.count("\n")
    if count > MAX_LINES:
        found.append(f"{name}:{count}: {count} lines; at most {MAX_LINES} (one noun a file: give the second noun its own)")
    for n, line in enumerate(text.split("\n"), 1):
        hit = UNFINISHED.search(line)
        if hit:
            found.append(f"{name}:{n}: {hit.group()} marks unfinished work; finish it or file an issue")
    for n, line in enumerate(code_lines(text), 1):
        where = f"{name}:{n}"
        include = INCLUDE.match(line)
        if include:
            found += check_include(where, include.group(1), folder, public, lambda other: (path.parent / other).exists())
        found += check_line(where, line, "" if public else below)
    return found


def check(root):
    root = pathlib.Path(root).resolve()
    files = sorted(p for d in ("src", "include") for p in (root / d).rglob("*") if p.suffix in (".c", ".h", ".def"))
    if not files:
        return [f"{root}: no C sources; ROOT is the folder that holds src/ and include/"], 0
    return [v for p in files for v in check_file(p, root)] + check_folders(root, files), len(files)


def check_folders(root, files):
    """A folder that outgrows these is several programs."""
    found = []
    for folder in sorted({p.parent for p in files if p.parent.parent == root / "src"}):
        inside = [p for p in files if p.parent == folder]
        lines = sum(p.read_text(encoding="utf-8").count("\n") for p in inside if p.suffix != ".def")
        for count, most, what in ((len(inside), MAX_FILES, "files"), (lines, MAX_FOLDER_LINES, "lines")):
            if count > most:
                found.append(f"src/{folder.name}:1: {count} {what}; at most {most} in a folder (find the second thing that it holds, and give it a folder)")
    return found


# ---- self-test: the check must be able to fail ----

SOUND = {
    "include/avi/status.h": "int avi_ok;\n",
    "include/avi/comm.h": '/* MPI_Comm stays inside; H5Fopen too */\n#include "avi/status.h"\n',
    "include/avi/model.h": '#include "avi/comm.h"\n',
    "src/base/comm.c": '#include "base/comm_mpi.h"\nvoid f(void) { MPI_Barrier(MPI_COMM_WORLD); }\n',
    "src/base/comm_mpi.h": '#include <mpi.h>\n#include "avi/comm.h"\n',
    "src/io/store.c": '#include <hdf5.h>\n#include "base/comm_mpi.h"\nvoid g(void) { H5open(); }\n',
    "src/linalg/grid.c": '#include "linalg/scalapack.h"\nvoid h(void) { Cblacs_exit(1); }\n',
    "src/linalg/scalapack.h": "void Cblacs_exit(int mpi_stays);\n",
    "src/model/vae.c": '#include "avi/model.h"\n#include "vae.h"\n#include "tape/internal.h"\n/* MPI_Send is not for models */\n'
                       'const char *text = "H5Fopen \\" MPI_Send";\n',
    "src/model/vae.h": "int vae;\n",
    "src/tape/internal.h": "int tape;\n",
    "src/main.c": '#include "avi/model.h"\nint main(void) { return 0; }\n',
}

# (file, text added at its end, words that the one violation found must hold)
PLANTED = [
    ("src/base/comm.c", '#include "avi/model.h"\n', "src/base/comm.c:3: base (floor 0) includes avi/model.h of model (floor 4)"),
    ("src/tape/internal.h", '#  include "model/vae.h" /* up */\n', "src/tape/internal.h:2: tape (floor 3) includes model/vae.h"),
    ("include/avi/status.h", '#include "avi/comm.h"\n#include "avi/model.h"\n', "include/avi/status.h:3: base (floor 0) includes avi/model.h"),
    ("include/avi/model.h", '#include "tape/internal.h"\n', "public header includes the private tape/internal.h"),
    ("include/avi/model.h", "void f(MPI_Comm comm);\n", "include/avi/model.h:2: MPI_Comm is message passing"),
    ("include/avi/novel.h", "int novel;\n", "include/avi/novel.h:1: the file is on no floor"),
    ("src/main.c", '#include "avi/novel.h"\n', "avi/novel.h is on no floor"),
    ("src/model/vae.c", '#include "elsewhere.h"\n', "elsewhere.h is not beside the file"),
    ("src/model/vae.c", '#include "attic/old.h"\n', "attic/old.h is on no floor"),
    ("src/attic/old.c", "int old;\n", "src/attic/old.c:1: the file is on no floor"),
    ("src/model/vae.c", "void s(void) { MPI_Send(0); }\n", "src/model/vae.c:6: MPI_Send is message passing"),
    ("src/base/status.c", "#include <mpi.h>\n", "<mpi.h> is message passing"),
    ("src/tasks/task.c", '#include "base/comm_mpi.h"\n', "is message passing"),
    ("src/tasks/task.c", "void t(void) { H5Dopen(0); }\n", "src/tasks/task.c:1: H5Dopen is HDF5"),
    ("src/linalg/grid.c", "#include <hdf5.h>\n", "<hdf5.h> is HDF5"),
    ("src/elbo/sum.c", "void u(void) { pdpotrf_(0); }\n", "pdpotrf_ is ScaLAPACK"),
    ("src/infer/table.c", 'void v(void) { fopen("a", "r"); }\n', "src/infer/table.c:1: fopen opens or changes a file"),
    ("src/optim/adam.c", "void w(void) { int I = 0; (void)I; }\n", "a variable named I"),
    ("src/optim/adam.c", "/* TO" + "DO: the rest */\n", "marks unfinished work"),
    ("src/data/long.c", "int x;\n" * (MAX_LINES + 1), f"src/data/long.c:{MAX_LINES + 1}: {MAX_LINES + 1} lines"),
]


def violations_of(added=None):
    with tempfile.TemporaryDirectory() as folder:
        tree = dict(SOUND)
        if added:
            tree[added[0]] = tree.get(added[0], "") + added[1]
        for name, text in tree.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return check(folder)[0]


def self_test():
    wrong = [f"a sound tree is refused: {v}" for v in violations_of()]
    for name, text, words in PLANTED:
        found = violations_of((name, text))
        if len(found) != 1 or words not in found[0]:
            wrong.append(f"planted in {name}: expected one violation with '{words}', found {found}")
    with tempfile.TemporaryDirectory() as folder:
        if not check(folder)[0]:
            wrong.append("an empty tree passes")
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "src" / "data").mkdir(parents=True)
        for k in range(MAX_FILES + 1):
            (pathlib.Path(folder) / "src" / "data" / f"f{k}.c").write_text("int x;\n" * 100)
        found = check(folder)[0]
        if len(found) != 2 or "31 files" not in found[0] or "3100 lines" not in found[1]:
            wrong.append(f"a folder that is too large: {found}")
    print("\n".join(wrong) if wrong else f"{len(PLANTED)} planted violations found, the sound tree passes")
    return 1 if wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("AVI_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2])
    found, files = check(root)
    print("\n".join(found) if found else f"{files} files, all on their floors")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
