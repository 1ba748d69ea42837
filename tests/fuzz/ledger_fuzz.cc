// Ledgers: any text is a ledger or an error; what was read is written and read again the same.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/files.h"
#include "records/ledger.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace touchstone;
  static const auto kDirectory = TemporaryDirectory::make("ledger-fuzz");
  BASE_CHECK(kDirectory.has_value());
  const std::string path = kDirectory->path() + "/ledger.jsonl";
  const auto write = [&](std::string_view text) {
    BASE_CHECK(write_file_atomic(path, text).has_value(), path);
  };
  write(std::string_view(reinterpret_cast<const char*>(data), size));
  const auto entries = records::read_ledger(path);
  if (!entries) return 0;
  std::string lines;
  for (const auto& entry : *entries) lines += to_json_line(entry) + "\n";
  write(lines);
  const auto again = records::read_ledger(path);
  BASE_CHECK(again.has_value() && again->size() == entries->size(), lines);
  return 0;
}
