// A metrics page, and the queries on what was read.
#include <cstdint>
#include <string_view>

#include "telemetry/prometheus/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto page = touchstone::telemetry::parse_prometheus_text("page", text);
  if (!page) return 0;
  for (const auto& family : page->families) {
    (void)page->family(family.name);
    for (const auto& sample : family.samples) {
      (void)page->value(sample.name, sample.labels);
      (void)page->sum(sample.name);
    }
  }
  return 0;
}
