// Benchmark figures: any text is figures or an error; what was read is written and read again the
// same.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/files.h"
#include "records/bench_run.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace touchstone;
  static const auto kDirectory = TemporaryDirectory::make("bench-run-fuzz");
  BASE_CHECK(kDirectory.has_value());
  const std::string path = kDirectory->path() + "/figures.json";
  const auto write = [&](std::string_view text) {
    BASE_CHECK(write_file_atomic(path, text).has_value(), path);
  };
  write(std::string_view(reinterpret_cast<const char*>(data), size));
  const auto run = records::read_bench_run(path);
  if (!run) return 0;
  const std::string text = to_json(*run);
  write(text);
  const auto again = records::read_bench_run(path);
  BASE_CHECK(again.has_value() && to_json(*again) == text, text);
  return 0;
}
