// What a benchmark measures, as YAML: subjects, and cases that each is put through in turns.
//
//   bench: 1
//   repeats: 20                      # measured ones, after one that is thrown away
//   subjects:
//     - {name: base, folder: ../base/build/release/bench, url: "http://127.0.0.1:8000"}
//     - {name: new, folder: build/release/bench, url: "http://127.0.0.1:8001"}
//   cases:
//     - {name: scheduler, program: bench_scheduler, arguments: ["--benchmark_filter=decode"]}
//     - {name: serve, requests: 64, concurrency: 32, prompt_tokens: 128, output_tokens: 60}
//
// A case with `program` runs a Google Benchmark of the subject's folder; one with `requests` loads
// the server at its url. Values; thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace touchstone::harness {

struct BenchSubject {
  std::string name;
  std::string folder;  ///< of programs, as the file says it: relative to where the run starts
  std::string url;
  std::string model;  ///< empty: the first that /v1/models lists
};

struct BenchCase {
  std::string name;
  std::string program;                 ///< empty: a load
  std::vector<std::string> arguments;  ///< of the program
  int64_t requests = 0;
  int64_t concurrency = 1;
  int64_t prompt_tokens = 128;
  int64_t output_tokens = 64;
};

struct BenchSuite {
  int64_t repeats = 20;
  std::vector<BenchSubject> subjects;  ///< one or more, of different names
  std::vector<BenchCase> cases;        ///< one or more, of different names
};

/// ERRORS: kNotFound, kInvalidArgument `file:line: key: got, expected`.
Result<BenchSuite> read_bench_suite(const std::string& path);
Result<BenchSuite> parse_bench_suite(const std::string& name, const std::string& text);

}  // namespace touchstone::harness
