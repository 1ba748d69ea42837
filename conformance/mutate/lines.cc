#include "conformance/mutate/lines.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "conformance/evidence_reader.h"
#include "telemetry/otlp/byte_source.h"
#include "telemetry/otlp/file.h"
#include "telemetry/otlp/json.h"

namespace touchstone::conformance::mutate {
namespace {

class Bytes final : public telemetry::ByteSource {
 public:
  explicit Bytes(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<size_t> read(std::span<char> buffer) override {
    const size_t count = std::min(buffer.size(), bytes_.size() - at_);
    std::memcpy(buffer.data(), bytes_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  std::string bytes_;
  size_t at_ = 0;
};

}  // namespace

std::vector<std::string> lines_of(const Evidence& evidence) {
  std::vector<std::string> lines;
  for (const telemetry::TraceBatch& batch : evidence.spans) {
    lines.push_back(telemetry::encode_otlp_json(batch));
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string bytes;
  for (const std::string& line : lines) bytes += line + "\n";
  return bytes;
}

void read_bytes(Evidence& evidence, std::string bytes) {
  evidence.spans.clear();
  Bytes source(std::move(bytes));
  const auto read = telemetry::read_otlp_lines(source, "spans.otlp.jsonl",
                                               [&](telemetry::TraceBatch& batch, int64_t) {
                                                 evidence.spans.push_back(batch);
                                                 return Status();
                                               });
  BASE_CHECK(read.has_value(), "memory is always readable");
  evidence.span_problems = read->problems;
  evidence.other_signal_lines = read->other_signal_lines;
  if (!read->torn_tail.empty()) evidence.torn_tails.push_back(read->torn_tail);
  count_torn_tails_as_problems(evidence);
}

}  // namespace touchstone::conformance::mutate
