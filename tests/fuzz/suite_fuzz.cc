// Suites: any text is a suite or an error.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/files.h"
#include "harness/stack/plan.h"
#include "harness/suites/suite.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace touchstone;
  static const auto kDirectory = TemporaryDirectory::make("suite-fuzz");
  BASE_CHECK(kDirectory.has_value());
  const std::string path = kDirectory->path() + "/suite.yaml";
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  BASE_CHECK(write_file_atomic(path, text).has_value(), path);
  const auto suite = harness::read_recorded_suite(path, path);
  if (!suite) return 0;
  BASE_CHECK(!suite->subjects.empty() && !suite->loads.empty() && !suite->profiles.empty());
  BASE_CHECK(harness::plan_of(*suite, suite->faults).size() >= 6);
  return 0;
}
