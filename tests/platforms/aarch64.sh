#!/usr/bin/env bash
# Compiles the program for aarch64 and runs the unit tests of one rank under qemu-user.
#
#   tests/platforms/aarch64.sh [options of ctest]        without options the result goes into the table of tests/README.md
#
# The libraries are Debian's packages for arm64, extracted (mmdebstrap) and not installed, so that nothing of them has to run; the compiler is the
# distribution's cross-compiler. It needs root and the packages mmdebstrap, gcc-aarch64-linux-gnu and qemu-user, and installs those; 77 where it cannot.
#   AVI_PLATFORMS_DIR   where the libraries (600 MB) and the build are kept      /tmp/avi_platforms
set -uo pipefail
# shellcheck source=jobs/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../jobs/common.sh"
# shellcheck source=tests/platforms/table.sh
source "$(dirname "${BASH_SOURCE[0]}")/table.sh"
folder=${AVI_PLATFORMS_DIR:-/tmp/avi_platforms}
root=$folder/arm64
lib=$root/usr/lib/aarch64-linux-gnu
build=$folder/arm64_build

skip() {
    echo "skipped: $*"
    exit 77
}
if [ "$(id -u)" -ne 0 ]; then skip "extracting another system needs root"; fi
for tool in mmdebstrap:mmdebstrap aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu qemu-aarch64:qemu-user; do
    if ! command -v "${tool%:*}" >/dev/null && ! install_packages "${tool#*:}"; then skip "${tool#*:} is not here and could not be installed"; fi
done

mkdir -p "$folder"
if [ ! -e "$root/usr/include/Random123/philox.h" ]; then
    rm -rf "$root"
    # mpicc of the build machine decides nothing here: the libraries of Open MPI are named below.
    mmdebstrap --variant=extract --architectures=arm64 --include=libopenmpi-dev,libhdf5-openmpi-dev,libscalapack-openmpi-dev,libopenblas-pthread-dev,librandom123-dev,libinih-dev,zlib1g-dev,libcmocka-dev,libc6-dev \
        bookworm "$root" "${AVI_DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$folder/arm64.log" 2>&1 || skip "mmdebstrap for arm64 failed: $(tail -n 1 "$folder/arm64.log")"
fi
# What the packages' scripts would have chosen.
ln -sf openblas-pthread/libopenblas.so openblas-pthread/libopenblas.so.0 openblas-pthread/libblas.so openblas-pthread/libblas.so.3 openblas-pthread/liblapack.so \
    openblas-pthread/liblapack.so.3 "$lib"
mkdir -p "$folder/arm64_pc"
for name in scalapack-openmpi inih cmocka zlib; do
    cp "$lib/pkgconfig/$name.pc" "$folder/arm64_pc/"
done
sed -i '/^Requires/d' "$folder/arm64_pc/scalapack-openmpi.pc"
cp "$lib/openblas-pthread/pkgconfig/openblas.pc" "$folder/arm64_pc/"

# The wrappers of MPI and HDF5, which CMake asks for folders and for the version: those of the packages name the compiler of an arm64 machine.
cat >"$folder/arm64_mpicc" <<WRAPPER
#!/bin/sh
case \$1 in
    -showme:compile) echo "-I$lib/openmpi/include" ;;
    -showme:link) echo "-L$lib/openmpi/lib -lmpi" ;;
    -showme:incdirs) echo "$lib/openmpi/include" ;;
    -showme:libdirs) echo "$lib/openmpi/lib" ;;
    -showme:libs) echo mpi ;;
    *) exec aarch64-linux-gnu-gcc "\$@" -I$lib/openmpi/include -L$lib/openmpi/lib -lmpi ;;
esac
WRAPPER
cat >"$folder/arm64_h5pcc" <<WRAPPER
#!/bin/sh
case \$1 in
    -showconfig) echo "HDF5 Version: 1.10.8"; echo "Parallel HDF5: yes" ;;
    *) echo "aarch64-linux-gnu-gcc -I$root/usr/include/hdf5/openmpi -L$lib/hdf5/openmpi $lib/hdf5/openmpi/libhdf5.so -lz -lm" ;;
esac
WRAPPER
# The launcher: one rank, emulated.
cat >"$folder/arm64_launcher" <<'LAUNCHER'
#!/bin/sh
if [ "$1" = -n ]; then shift 2; fi
exec qemu-aarch64 -L "$(dirname "$0")/arm64" "$@"
LAUNCHER
chmod +x "$folder/arm64_mpicc" "$folder/arm64_h5pcc" "$folder/arm64_launcher"
cat >"$folder/arm64.cmake" <<TOOLCHAIN
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_SYSROOT $root)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH $root)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
TOOLCHAIN

# A build folder of another checkout: CMake refuses its cache.
if ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$repository" "$build/CMakeCache.txt" 2>/dev/null; then rm -rf "$build"; fi
export PKG_CONFIG_LIBDIR=$folder/arm64_pc PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=
if ! cmake -S "$repository" -B "$build" -DCMAKE_TOOLCHAIN_FILE="$folder/arm64.cmake" -DAVI_ARCH=armv8-a -DHDF5_C_COMPILER_EXECUTABLE="$folder/arm64_h5pcc" \
    -DMPI_C_COMPILER="$folder/arm64_mpicc" \
    -DCMAKE_EXE_LINKER_FLAGS="-Wl,-rpath-link,$lib:$lib/openblas-pthread:$lib/openmpi/lib" -DAVI_MPIRUN="$folder/arm64_launcher" >"$folder/arm64_build.log" 2>&1 ||
    ! cmake --build "$build" -j "$(cpus_allowed)" >>"$folder/arm64_build.log" 2>&1; then
    tail -n 30 "$folder/arm64_build.log" >&2
    exit 1
fi
grep -E 'warning:' "$folder/arm64_build.log" >&2

# Alone, a rank of Open MPI would start a daemon of its own, which is a program of this machine.
export OMPI_MCA_ess_singleton_isolated=1
cd "$build" || exit 1
status=0
ctest --output-on-failure --no-label-summary -j "$(cpus_allowed)" -R '^test_.*_np1$' "$@" | tee "$folder/aarch64.log" || status=1
if [ $# -eq 0 ]; then
    read -r passed skipped failed < <(count "$folder/aarch64.log")
    write_row aarch64 "| aarch64 | $("$folder/arm64_launcher" "$build/avi_mpi" --version 2>/dev/null | versions), emulated | not tried | $passed | $skipped | $failed | not tried | $(git -C "$repository" rev-parse --short=12 HEAD), $(date +%F) |"
fi
exit "$status"
