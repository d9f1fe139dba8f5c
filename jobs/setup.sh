#!/usr/bin/env bash
# Sees to it that the compilers and libraries of avi_mpi are there.
#
#   jobs/setup.sh            installs what is missing (Debian and Ubuntu, as root or with sudo without a password)
#   jobs/setup.sh --check    only looks
#   jobs/setup.sh --tests    installs what checks the form of the sources too (clang-format, shellcheck, flake8) and what opens
#                            results elsewhere (xarray, h5netcdf); where that cannot be, the tests say what they leave out
#
# oneDNN (libdnnl-dev) is installed with them where that can be; the program is built without it too.
#
# The names of packages are those of Debian 12 and 13 and of Ubuntu 22.04 and 24.04, which agree. MPICC (mpicc.mpich, for example)
# chooses the MPI: HDF5 and ScaLAPACK must be built for the same one.
#
# It says nothing and returns at once when all is there. Where it may not or cannot install, it names what is missing and ends with
# status 69. It looks for what the build needs (programs, headers, pkg-config files, Python modules) and not for package names, so that
# modules, Spack or an installation of one's own serve as well.
set -euo pipefail

missing_packages=()
missing_things=()

# need PACKAGE "what it is, in words" COMMAND...: the package is missing when COMMAND fails.
need() {
    local package=$1 thing=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        missing_packages+=("$package")
        missing_things+=("$thing")
    fi
}

has_command() { command -v "$1"; }

# A header that the C compiler finds (through CPATH, C_INCLUDE_PATH and the like too).
has_header() { printf '#include <%s>\n' "$1" | ${CC:-cc} -E -x c - ; }

has_pkgconfig() {
    local name
    for name in "$@"; do
        if pkg-config --exists "$name"; then return 0; fi
    done
    return 1
}

# Of the MPI of mpicc: another one beside it is no use.
has_parallel_hdf5() { command -v "h5pcc.$mpi" || { [ ! -e "/usr/bin/h5pcc.$other_mpi" ] && command -v h5pcc; }; }

has_launcher() { command -v "mpirun.$mpi" || { [ ! -e "/usr/bin/mpirun.$other_mpi" ] && command -v mpirun; }; }

has_mpi_compiler() { command -v "${MPICC:-mpicc}" && "${MPICC:-mpicc}" -show; }

# The cblas.h that the compiler takes is of the reference BLAS, whose products are tens of times slower than those of the others: no use where another can be had.
is_reference_blas() {
    local header
    header=$(has_header cblas.h 2>/dev/null | grep -m 1 -oE '"[^"]*/cblas\.h"')
    [[ "$(readlink -f "${header//\"/}")" == *netlib* ]]
}

# OpenBLAS, or another BLAS with the header that C needs (CMake looks closer).
has_blas() {
    has_pkgconfig openblas || { has_header cblas.h && ! is_reference_blas; } || has_header mkl_cblas.h || has_header blis/cblas.h || has_header flexiblas/cblas.h ||
        [ -n "${MKLROOT:-}" ]
}

# The MPI that is asked for, else the one of mpicc, else Open MPI.
mpi=openmpi other_mpi=mpich
case "${MPICC:-$(readlink -f "$(command -v mpicc || true)" 2>/dev/null || true)}" in
    *mpich*) mpi=mpich other_mpi=openmpi ;;
esac
launcher_package=openmpi-bin
if [ "$mpi" = mpich ]; then launcher_package=mpich; fi

has_c_library() { printf 'int main(void) { return 0; }\n' | ${CC:-cc} -x c - -o /dev/null "$1"; }

# The interpreter that the project uses: the system's first, since a version manager's may hide it.
python() {
    if [ -x /usr/bin/python3 ]; then /usr/bin/python3 "$@"; else python3 "$@"; fi
}
has_python_module() { python -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$1') is None)"; }

look() {
    missing_packages=()
    missing_things=()
    need build-essential "a C compiler and make" has_c_library -lm
    need cmake "CMake 3.18 or later" has_command cmake
    need pkg-config "pkg-config" has_command pkg-config
    need git "git" has_command git
    need $launcher_package "mpirun of this MPI" has_launcher
    need lib$mpi-dev "${MPICC:-mpicc} (MPI)" has_mpi_compiler
    need libhdf5-$mpi-dev "HDF5 built with this MPI (h5pcc)" has_parallel_hdf5
    need hdf5-tools "h5dump" has_command h5dump
    need libscalapack-$mpi-dev "ScaLAPACK (pkg-config: scalapack-$mpi or scalapack)" has_pkgconfig scalapack-$mpi scalapack
    need libopenblas-dev "OpenBLAS (pkg-config: openblas), MKL, BLIS or FlexiBLAS" has_blas
    need librandom123-dev "Random123 (Random123/philox.h)" has_header Random123/philox.h
    need libinih-dev "inih (pkg-config: inih)" has_pkgconfig inih
    need zlib1g-dev "zlib (zlib.h)" has_header zlib.h
    need libcmocka-dev "cmocka (pkg-config: cmocka)" has_pkgconfig cmocka
    need python3-h5py "Python module h5py" has_python_module h5py
    need python3-numpy "Python module numpy" has_python_module numpy
    need python3-matplotlib "Python module matplotlib" has_python_module matplotlib
}

# What makes the program faster, or does not: it is installed with the rest where that can be, and never asked for.
look_for_optional() {
    missing_packages=()
    missing_things=()
    need libdnnl-dev "oneDNN (dnnl.h): faster convolutions" has_header dnnl.h
}

# Of what was looked for last: whatever can be installed, without a word.
install_what_can_be() {
    if [ ${#missing_packages[@]} -ne 0 ] && command -v apt-get >/dev/null 2>&1; then (install) 2>/dev/null || true; fi
}

look_for_checkers() {
    missing_packages=()
    missing_things=()
    need clang-format "clang-format" has_command clang-format
    need shellcheck "shellcheck" has_command shellcheck
    need flake8 "flake8" has_command flake8
    need python3-scipy "Python module scipy" has_python_module scipy
    need mandoc "mandoc" has_command mandoc
    need python3-xarray "Python module xarray" has_python_module xarray
    need python3-h5netcdf "Python module h5netcdf" has_python_module h5netcdf
}

explain() {
    local i
    {
        echo "setup.sh: $1"
        echo "Missing on this machine:"
        for i in "${!missing_packages[@]}"; do
            printf '  %-27s %s\n' "${missing_packages[$i]}" "${missing_things[$i]}"
        done
        echo "On Debian or Ubuntu: apt-get install ${missing_packages[*]}"
        if command -v module >/dev/null 2>&1 || [ -n "${MODULESHOME:-}${LMOD_CMD:-}" ]; then
            echo "This machine has environment modules. Names differ from site to site; look with 'module avail' and load, for example:"
            echo "  module load gcc cmake openmpi hdf5-mpi netlib-scalapack openblas python"
            echo "Random123, inih and cmocka are small and can be installed in a home folder: set CMAKE_PREFIX_PATH, PKG_CONFIG_PATH and CPATH."
        fi
    } >&2
    exit 69
}

install() {
    local as_root=()
    if ! command -v apt-get >/dev/null 2>&1; then
        explain "there is no apt-get here, so nothing was installed."
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1 || ! sudo -n true 2>/dev/null; then
            explain "installing takes root, or sudo without a password, so nothing was installed."
        fi
        as_root=(sudo -n)
    fi
    echo "setup.sh: installing ${missing_packages[*]}" >&2
    local log
    log=$(mktemp)
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    # The lists may be fresh enough already: they are fetched only when the first try fails.
    if ! "${apt[@]}" install -y --no-install-recommends "${missing_packages[@]}" >"$log" 2>&1 &&
        ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing_packages[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        explain "apt-get failed (its last lines stand above)."
    fi
    rm -f "$log"
}

look
if [ ${#missing_packages[@]} -ne 0 ]; then
    if [ "${1:-}" = --check ]; then explain "only looked, as asked."; fi
    install
    look_for_optional
    install_what_can_be
    look
    if [ ${#missing_packages[@]} -ne 0 ]; then
        explain "the packages are installed, but these are still not found (is another compiler or Python in front on PATH?)."
    fi
fi
if [ "${1:-}" = --tests ]; then
    look_for_optional
    install_what_can_be
    look_for_checkers
    install_what_can_be
fi
