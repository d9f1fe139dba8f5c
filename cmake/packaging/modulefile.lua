-- avi_mpi for Lmod: PREFIX/share/avi_mpi/modulefiles/avi_mpi/VERSION.lua. It finds PREFIX from where it is. Load the modules of MPI, HDF5, ScaLAPACK and
-- OpenBLAS that the program was built with too, where they are modules; a site adds them here (depends_on).
local file = myFileName()
local share = file:match("^(.*)/modulefiles/")
local prefix = share:match("^(.*)/[^/]+/[^/]+$")
local version = file:match("([^/]+)%.lua$")

help("avi_mpi: variational inference for latent-variable models on MPI clusters. man avi_mpi; sbatch $AVI_JOBS/run.sbatch FILE.ini")
whatis("avi_mpi " .. version .. ": variational inference for latent-variable models on MPI clusters")
family("avi_mpi")

prepend_path("PATH", pathJoin(prefix, "bin"))
-- man finds pages beside PATH; where MANPATH is set it looks there alone.
if (os.getenv("MANPATH") or "") ~= "" then prepend_path("MANPATH", pathJoin(prefix, "share/man")) end
for _, folder in ipairs({"lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"}) do
    local path = pathJoin(prefix, folder)
    if isFile(pathJoin(path, "libavi.so")) then
        prepend_path("LD_LIBRARY_PATH", path)
        prepend_path("PKG_CONFIG_PATH", pathJoin(path, "pkgconfig"))
    end
end
prepend_path("CMAKE_PREFIX_PATH", prefix)
prepend_path("PYTHONPATH", pathJoin(share, "analysis"))
setenv("AVI_JOBS", pathJoin(share, "jobs"))
setenv("AVI_MPI", pathJoin(prefix, "bin/avi_mpi"))
