#!/usr/bin/env python3
"""Finds calls of names that HDF5, MPI and OpenBLAS have deprecated or removed, in C files.

    deprecated.py FOLDER ...     one line for each finding; 1 when there are any
    deprecated.py --self-test
"""
import pathlib
import re
import sys

# HDF5: functions of 1.6 and 1.8 that newer versions keep under a number, and those that 1.12, 1.14 and 2.0 deprecate. The build asks for the names of 1.10
# (H5_USE_110_API), which gives H5Ovisit, H5Lvisit and the like their old meaning in every version.
HDF5 = """H5Acreate1 H5Aiterate1 H5Aopen_name H5Aopen_idx H5Aget_num_attrs H5Dcreate1 H5Dextend H5Dopen1 H5Dvlen_reclaim H5Eclear1 H5Eget_auto1 H5Eset_auto1 H5Eprint1
H5Epush1 H5Ewalk1 H5Eget_major H5Eget_minor H5Fget_info1 H5Fset_latest_format H5Gcreate1 H5Gopen1 H5Giterate H5Glink H5Glink2 H5Gmove H5Gmove2 H5Gunlink
H5Gget_objinfo H5Gget_linkval H5Gget_num_objs H5Gget_objname_by_idx H5Gget_objtype_by_idx H5Gget_comment H5Gset_comment H5Iobject_verify_type1 H5Pget_filter1
H5Pget_filter_by_id1 H5Pinsert1 H5Pregister1 H5Pget_version H5Pset_fapl_mpiposix H5Rcreate1 H5Rdereference1 H5Rget_obj_type1 H5Sencode1 H5Tarray_create1
H5Tget_array_dims1 H5Tcommit1 H5Topen1 H5Zregister1 H5is_library_threadsafe1 H5Fis_hdf5_1 H5Dset_extent1 H5Pset_cache_image1 H5Oset_comment H5Oset_comment_by_name
H5Pget_fapl_direct1 H5Fget_mpi_atomicity1""".split()
# MPI: removed in 3.0, deprecated in 2.0 to 4.0.
MPI = """MPI_Address MPI_Errhandler_create MPI_Errhandler_get MPI_Errhandler_set MPI_Type_extent MPI_Type_hindexed MPI_Type_hvector MPI_Type_struct MPI_Type_lb MPI_Type_ub
MPI_LB MPI_UB MPI_Handler_function MPI_COMBINER_HINDEXED_INTEGER MPI_COMBINER_HVECTOR_INTEGER MPI_COMBINER_STRUCT_INTEGER MPI_Keyval_create MPI_Keyval_free MPI_Attr_put
MPI_Attr_get MPI_Attr_delete MPI_Copy_function MPI_Delete_function MPI_DUP_FN MPI_NULL_COPY_FN MPI_NULL_DELETE_FN MPI_Cancel_send MPI_Info_get MPI_Info_get_valuelen
MPI_SIZEOF MPI_T_ERR_INVALID_ITEM""".split()
# OpenBLAS: names of GotoBLAS, and functions that only builds with its own LAPACKE or of some versions have.
OPENBLAS = """goto_set_num_threads goto_get_num_threads blas_set_num_threads cblas_sdsdot_64 openblas_set_threads_callback_function openblas_setaffinity openblas_getaffinity
LAPACKE_dposv LAPACKE_dsyev LAPACKE_dpotrf LAPACKE_dgels""".split()
USE = {**{n: "HDF5" for n in HDF5}, **{n: "MPI" for n in MPI}, **{n: "OpenBLAS" for n in OPENBLAS}}
NAME = re.compile(r"\b(?:" + "|".join(sorted(USE, key=len, reverse=True)) + r")\b")
# Comments and strings are no calls; their lines stay, so that numbers are right.
ASIDE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"', re.S)


def findings(text):
    """(line, name, library) of every use."""
    bare = ASIDE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)
    bare = re.sub(r"^#define .*$", lambda m: " " * len(m.group()), bare, flags=re.M)  # the name in an older version, chosen by #if
    return [(bare.count("\n", 0, m.start()) + 1, m.group(), USE[m.group()]) for m in NAME.finditer(bare)]


def self_test():
    text = '/* H5Gopen1 */\nid = H5Gopen1(file, "H5Dopen1");\nMPI_Type_struct(n, a, b, c, &t); // MPI_Address\ngoto_set_num_threads (1);\nH5Gopen2(file); H5Ovisit(x); MPI_Type_create_struct(y);\n'
    assert findings(text) == [(2, "H5Gopen1", "HDF5"), (3, "MPI_Type_struct", "MPI"), (4, "goto_set_num_threads", "OpenBLAS")], findings(text)
    print("OK")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    count, files = 0, 0
    for folder in sys.argv[1:]:
        for path in sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix in (".c", ".h")):
            files += 1
            for line, name, library in findings(path.read_text(errors="replace")):
                print(f"{path}:{line}: {name} is deprecated or gone in newer versions of {library}; use the function that its manual names instead")
                count += 1
    if not files:
        print("no C files found")
        return 1
    print(f"{files} files, {count} findings")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
