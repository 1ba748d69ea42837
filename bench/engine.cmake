touchstone_benchmark(engine
  SOURCES engine_bench.cc kernels_ceilings.cc
  LINKS touchstone_backend)
