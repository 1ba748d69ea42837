// Llama 3.1 and later: the whole answer is one call or several, {"name": …, "parameters": {…}},
// with
// "; " between them and <|python_tag|> in front, or without it. An answer that begins otherwise is
// content.
#include <algorithm>
#include <optional>
#include <utility>

#include "reference_engine/server/api/parsers/json_call.h"
#include "reference_engine/server/api/parsers/tool_parser.h"

namespace touchstone::server::api {
namespace {

constexpr std::string_view kTag = "<|python_tag|>";
constexpr std::string_view kSpace = " \n\r\t";

class Llama3JsonParser final : public ToolParser {
 public:
  void add(std::string_view text, ParsedText& out) override {
    if (mode_ == Mode::kUndecided) {
      start_ += text;
      decide();
      if (mode_ == Mode::kUndecided) return;
      const std::string held = std::exchange(start_, {});
      return take(held, out);
    }
    take(text, out);
  }

  void finish(ParsedText& out) override {
    if (mode_ == Mode::kUndecided) out.content += start_;
    if (call_) end_call();
    if (mode_ == Mode::kCalls && num_told_ == 0) out.content += untold_;
  }

  bool well_formed() const override { return well_formed_; }

 private:
  enum class Mode { kUndecided, kContent, kCalls };

  void decide() {
    const size_t first = std::min(start_.find_first_not_of(kSpace), start_.size());
    const std::string_view rest = std::string_view(start_).substr(first);
    if (rest.starts_with(kTag) || rest.starts_with('{')) {
      mode_ = Mode::kCalls;
    } else if (!kTag.starts_with(rest)) {
      mode_ = Mode::kContent;
    }
  }

  void take(std::string_view text, ParsedText& out) {
    if (mode_ == Mode::kContent) {
      out.content += text;
      return;
    }
    if (num_told_ == 0) untold_ += text;
    while (!text.empty()) {
      if (!call_) {
        text.remove_prefix(std::min(text.find('{'), text.size()));
        if (text.empty()) return;
        call_.emplace(num_told_);
      }
      text.remove_prefix(call_->add(text, out));
      if (call_->complete() || call_->broken()) end_call();
    }
  }

  void end_call() {
    well_formed_ = well_formed_ && call_->complete() && call_->told() && call_->has_arguments();
    if (call_->told()) ++num_told_;
    call_.reset();
  }

  Mode mode_ = Mode::kUndecided;
  std::string start_;
  std::optional<JsonCall> call_;
  size_t num_told_ = 0;
  std::string untold_;  // everything while no call was told
  bool well_formed_ = true;
};

}  // namespace

std::unique_ptr<ToolParser> make_llama3_json_parser() {
  return std::make_unique<Llama3JsonParser>();
}

}  // namespace touchstone::server::api
