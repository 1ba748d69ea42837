// Hermes and Qwen 2.5: <tool_call>{"name": …, "arguments": {…}}</tool_call>, once per call. What
// stands before the first call is content, what stands between and after them is dropped.
#include <optional>

#include "reference_engine/server/api/parsers/json_call.h"
#include "reference_engine/server/api/parsers/tag_search.h"
#include "reference_engine/server/api/parsers/tool_parser.h"

namespace touchstone::server::api {
namespace {

constexpr std::string_view kOpen = "<tool_call>";
constexpr std::string_view kClose = "</tool_call>";

class HermesParser final : public ToolParser {
 public:
  void add(std::string_view text, ParsedText& out) override {
    pending_ += text;
    while (step(out)) {
    }
  }

  void finish(ParsedText& out) override {
    if (call_) {
      call_->add(pending_, out);
      untold_ += pending_;
      end_call();
    } else if (num_calls_ == 0) {
      out.content += pending_;
    }
    pending_.clear();
    if (num_told_ == 0) out.content += untold_;
  }

  bool well_formed() const override { return well_formed_; }

 private:
  /// False: nothing more can be said of what is pending.
  bool step(ParsedText& out) {
    const std::string_view tag = call_ ? kClose : kOpen;
    const size_t found = pending_.find(tag);
    const bool whole = found != std::string::npos;
    const size_t sure = whole ? found : pending_.size() - partial_tag(pending_, tag);
    const std::string_view text = std::string_view(pending_).substr(0, sure);
    if (call_) {
      call_->add(text, out);
    } else if (num_calls_ == 0) {
      out.content += text;
    }
    if (call_ && num_told_ == 0) untold_ += text;
    pending_.erase(0, sure + (whole ? tag.size() : 0));
    if (!whole) return false;
    if (call_) {
      end_call();
    } else {
      call_.emplace(num_told_);
      ++num_calls_;
    }
    if (num_told_ == 0) untold_ += tag;
    return true;
  }

  void end_call() {
    well_formed_ = well_formed_ && call_->complete() && call_->told() && call_->has_arguments();
    if (call_->told()) ++num_told_;
    call_.reset();
  }

  std::string pending_;           // could still be part of a tag
  std::optional<JsonCall> call_;  // between the tags
  size_t num_calls_ = 0;
  size_t num_told_ = 0;
  std::string untold_;  // what was kept back while no call was told
  bool well_formed_ = true;
};

}  // namespace

std::unique_ptr<ToolParser> make_hermes_parser() { return std::make_unique<HermesParser>(); }

}  // namespace touchstone::server::api
