// Request bodies as the tap reads them: whatever clients send, a ledger line comes of it that reads
// again.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "harness/tap/sent_body.h"
#include "records/ledger.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace touchstone;
  records::LedgerEntry entry;
  harness::read_sent_body({reinterpret_cast<const char*>(data), size}, entry);
  BASE_CHECK(entry.choices >= 1 && entry.choices <= 1'000'000, entry.choices);
  BASE_CHECK(records::to_json_line(entry).find('\n') == std::string::npos, "one line");
  return 0;
}
