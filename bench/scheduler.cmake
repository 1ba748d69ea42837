touchstone_benchmark(scheduler
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/scheduler_bench.cc
  LINKS touchstone_scheduler)
