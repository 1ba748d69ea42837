touchstone_benchmark(tokenizer
  SOURCES tokenizer_bench.cc LINKS touchstone_tokenizer nlohmann_json::nlohmann_json)
target_compile_definitions(bench_tokenizer PRIVATE TOUCHSTONE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
