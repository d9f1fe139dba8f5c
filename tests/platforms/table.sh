# Results of tests on other systems and their table in tests/README.md: source it after jobs/common.sh.
# shellcheck shell=bash
: "${repository:?is set by jobs/common.sh}"

# results LOG    "NAME Passed|Skipped|Failed" of each test in what ctest said; of a test that was run again the last result.
results() {
    sed -nE 's/^.*Test +#[0-9]+: ([^ ]+) \.+ *(\*\*\*)?(Passed|Skipped|Failed|Timeout|Exception|Not Run).*/\1 \3/p' "$1" |
        awk '{ state[$1] = $2 == "Passed" || $2 == "Skipped" ? $2 : "Failed" } END { for (name in state) print name, state[name] }' | sort
}

# count LOG    "PASSED SKIPPED FAILED"
count() { results "$1" | awk '{ n[$2]++ } END { print n["Passed"] + 0, n["Skipped"] + 0, n["Failed"] + 0 }'; }

# again LOG    how many tests passed only when they were run again
again() {
    local name word
    results "$1" | while read -r name word; do
        if [ "$word" = Passed ] && grep -qE "Test +#[0-9]+: $name \.+ *\*\*\*(Failed|Timeout|Exception)" "$1"; then echo "$name"; fi
    done | wc -l
}

# reasons LASTTEST_LOG NAME...    the line in which each of the skipped tests says why
reasons() {
    awk -v wanted=" ${*:2} " '
        /^[0-9]+\/[0-9]+ (Test|Testing): / { name = $3 }
        index(wanted, " " name " ") && /skipped:|[Ss]kipped/ && !said[name]++ { print name ": " $0 }' "$1"
}

# write_row SYSTEM ROW    into the table, in the place of the system's earlier row.
write_row() {
    avi_python - "$repository/tests/README.md" "$1" "$2" <<'PYTHON'
import pathlib, re, sys
path, system, row = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
text = path.read_text()
head, table, rest = re.split(r"(?<=<!-- platforms: begin -->\n)|(?=<!-- platforms: end -->)", text)
rows = [line for line in table.splitlines() if line and not line.startswith(f"| {system} |")]
rows[2:] = sorted(rows[2:] + [row])
path.write_text(head + "\n".join(rows) + "\n" + rest)
PYTHON
}

# versions < what avi_mpi --version says
versions() {
    sed -nE 's/^compiler +//p; s/^MPI +//p; s/^HDF5 +/HDF5 /p; s/^BLAS +(OpenBLAS [^ ]+).*/\1/p; s/^ScaLAPACK +/ScaLAPACK /p' | tr -s '\t ' ' ' | paste -sd, | sed 's/,/, /g'
}
