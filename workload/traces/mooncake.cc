// Mooncake traces (github.com/kvcache-ai/Mooncake, FAST'25): JSON lines of timestamp (ms),
// input_length, output_length, hash_ids. An id stands for 512 tokens and everything before them;
// the last one may be of a block that is not full, which cannot be shared and is dropped here.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/document.h"
#include "base/line_reader.h"
#include "workload/traces/rows.h"
#include "workload/traces/trace.h"

namespace touchstone::workload {
namespace {

constexpr int64_t kBlockTokens = 512;
constexpr int64_t kLatestMs = INT64_MAX / kNsPerMs;

class MooncakeReader final : public RequestReader {
 public:
  explicit MooncakeReader(std::unique_ptr<LineReader> lines) : lines_(std::move(lines)) {}

  Result<bool> next(Request& request) override {
    for (;;) {
      const auto line = lines_->next();
      if (!line) return line.error();
      if (!*line) return false;
      auto document = Document::parse_json_line(lines_->path(), lines_->number(), **line);
      if (!document) return invalid_argument(document.error().message, document.error().hint);
      const Fields root = document->root();
      const auto time_ms = required_in(root, "timestamp", 0, kLatestMs);
      const auto prompt = required_in(root, "input_length", 0, kMostTraceTokens);
      const auto output = required_in(root, "output_length", 0, kMostTraceTokens);
      const std::vector<int64_t> ids = root.ints("hash_ids");
      const int64_t blocks = (prompt + kBlockTokens - 1) / kBlockTokens;
      if (root.has("hash_ids") && std::ssize(ids) != blocks) {
        root.fail("hash_ids", "got " + std::to_string(ids.size()) + " ids, expected " +
                                  std::to_string(blocks) + " for " + std::to_string(prompt) +
                                  " tokens in blocks of 512");
      }
      if (std::any_of(ids.begin(), ids.end(), [](int64_t id) { return id < 0; })) {
        root.fail("hash_ids", "got a negative id, expected ids >= 0");
      }
      document->ignore_unknown_keys();
      RETURN_IF_ERROR(document->finish());
      const auto arrival_ns = arrivals_.from_start_ns(time_ms * kNsPerMs, where(), "timestamp");
      if (!arrival_ns) return arrival_ns.error();
      if (prompt == 0 || output == 0) {
        ++empty_;
        continue;
      }
      begin_request(request, made_++, *arrival_ns, prompt, output);
      const int64_t full = std::min<int64_t>(std::ssize(ids), prompt / kBlockTokens);
      request.prefix_block_ids.assign(ids.begin(), ids.begin() + full);
      if (full > 0) request.prefix_block_size = kBlockTokens;
      return true;
    }
  }
  std::string where() const override {
    return lines_->path() + ":" + std::to_string(lines_->number());
  }
  std::string left_out() const override { return without_tokens(empty_); }

 private:
  std::unique_ptr<LineReader> lines_;
  Arrivals arrivals_;
  int64_t made_ = 0;
  int64_t empty_ = 0;
};

}  // namespace

bool looks_like_mooncake(const std::string&, std::string_view head) {
  return head.starts_with("{") && head.find("\"input_length\"") != std::string_view::npos;
}

Result<std::unique_ptr<RequestReader>> open_mooncake(const std::string& path, const TraceOptions&) {
  auto lines = LineReader::open(path);
  if (!lines) return std::move(lines).error();
  return std::unique_ptr<RequestReader>(std::make_unique<MooncakeReader>(std::move(*lines)));
}

}  // namespace touchstone::workload
