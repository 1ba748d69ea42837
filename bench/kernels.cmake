# Peer only: nothing that ships links oneDNN. Its package file wants the OpenCL headers, which the
# CPU engine does not need.
find_library(DNNL_LIBRARY dnnl REQUIRED)
touchstone_benchmark(kernels
  SOURCES kernels_bench.cc kernels_ceilings.cc
  LINKS touchstone_backend ${DNNL_LIBRARY})
set_source_files_properties(kernels_ceilings.cc PROPERTIES COMPILE_OPTIONS
  "-O3;-march=native;-mprefer-vector-width=512;-ffp-contract=fast;-Wno-psabi")
