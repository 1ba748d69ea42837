// YAML and JSON documents and every getter on them.
#include <cstdint>
#include <string_view>

#include "base/document.h"

namespace {

void read_everything(touchstone::Fields fields, int depth) {
  for (const std::string& key : fields.keys()) {
    (void)fields.optional_string(key);
    (void)fields.optional_int(key);
    (void)fields.optional_double(key);
    (void)fields.optional_duration_ns(key);
    (void)fields.strings(key);
    (void)fields.objects(key);
    (void)fields.where(key);
    if (depth < 8) read_everything(fields.object(key), depth + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (auto* parse : {&touchstone::Document::parse_yaml, &touchstone::Document::parse_json}) {
    auto document = parse("input", text);
    if (!document) continue;
    read_everything(document->root(), 0);
    (void)document->finish();
  }
  return 0;
}
