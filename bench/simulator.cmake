touchstone_benchmark(simulator
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/simulator_bench.cc
  LINKS touchstone_simulator nlohmann_json::nlohmann_json)
