#!/usr/bin/env bash
# CMake refuses libraries of two MPIs. The other MPI is a small shared library of that name, and HDF5 or ScaLAPACK one that needs it.
set -uo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
cd "$scratch" || exit 1
if ! command -v readelf >/dev/null; then
    echo "skipped: readelf is not here, so CMake cannot look"
    exit 77
fi

# A library of this name that needs an MPI of another version.
echo 'int MPI_Init(int *c, char ***v) { return c || v; }' >mpi.c
cc -shared -fPIC -Wl,-soname,libmpi.so.7 -o libmpi.so.7 mpi.c || exit 1
echo 'int MPI_Init(int *c, char ***v); int Csys2blacs_handle(int c) { return MPI_Init(&c, 0); }' >library.c
cc -shared -fPIC -o libscalapack.so library.c libmpi.so.7 || exit 1

kind=$(sed -n 's/^AVI_IS_OPEN_MPI:INTERNAL=1$/openmpi/p; s/^AVI_IS_MPICH:INTERNAL=1$/mpich/p' "$AVI_BUILD_DIR/CMakeCache.txt")
mkdir pc
printf 'Name: scalapack\nDescription: of another MPI\nVersion: 2\nLibs: -L%s -lscalapack\n' "$scratch" >"pc/scalapack-${kind:-mpi}.pc"
said=$(PKG_CONFIG_PATH=$scratch/pc cmake -S "$AVI_SOURCE_DIR" -B build -DAVI_TESTS=OFF "-DMPI_C_COMPILER=$(sed -n 's/^MPI_C_COMPILER:FILEPATH=//p' "$AVI_BUILD_DIR/CMakeCache.txt")" 2>&1) &&
    fail "a ScaLAPACK of another MPI was taken: $said"
said=$(tr -s ' \n' '  ' <<<"$said")
for words in "ScaLAPACK was built for another MPI" "needs libmpi.so.7" "Two MPI libraries in one program crash" "-DMPI_C_COMPILER="; do
    grep -qF -- "$words" <<<"$said" || fail "'$words' is not in: $said"
done
echo OK
