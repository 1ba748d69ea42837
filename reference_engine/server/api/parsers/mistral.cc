// Mistral: [TOOL_CALLS] and then a list of calls, [{"name": …, "arguments": {…}}], or from its
// eleventh tokenizer on a name and its arguments, name{…}, where each call has its own tag; with
// [CALL_ID]… and [ARGS] between them from the thirteenth on. Text before the first tag is content.
#include <optional>

#include "reference_engine/server/api/parsers/json_call.h"
#include "reference_engine/server/api/parsers/tag_search.h"
#include "reference_engine/server/api/parsers/tool_parser.h"

namespace touchstone::server::api {
namespace {

constexpr std::string_view kTag = "[TOOL_CALLS]";
constexpr std::string_view kSpace = " \n\r\t";

class MistralParser final : public ToolParser {
 public:
  void add(std::string_view text, ParsedText& out) override {
    if (state_ != State::kContent) {
      untold_ += text;
      for (const char c : text) step(c, out);
      return;
    }
    pending_ += text;
    const size_t found = pending_.find(kTag);
    const size_t sure =
        found != std::string::npos ? found : pending_.size() - partial_tag(pending_, kTag);
    out.content += pending_.substr(0, sure);
    pending_.erase(0, sure);
    if (found == std::string::npos) return;
    const std::string rest = pending_.substr(kTag.size());
    untold_ = kTag;
    pending_.clear();
    state_ = State::kOpen;
    add(rest, out);
  }

  void finish(ParsedText& out) override {
    out.content += pending_;
    if (state_ == State::kCall) end_call();
    const bool half = name_.find_first_not_of(kSpace) != std::string::npos;
    if (half || state_ == State::kArguments) well_formed_ = false;
    if (state_ != State::kContent && num_told_ == 0) out.content += untold_;
  }

  bool well_formed() const override { return well_formed_; }

 private:
  enum class State {
    kContent,
    kOpen,      // behind a tag
    kList,      // in a list, between calls
    kCall,      // in an element of a list
    kName,      // of name{…}
    kArguments  // of name{…}
  };

  void step(char c, ParsedText& out) {
    switch (state_) {
      case State::kOpen:
        if (kSpace.find(c) != std::string_view::npos) return;
        state_ = c == '[' ? State::kList : State::kName;
        if (state_ == State::kName) return in_name(c, out);
        return;
      case State::kList:
        if (c != '{') return;
        call_.emplace(num_told_);
        state_ = State::kCall;
        [[fallthrough]];
      case State::kCall:
        call_->add({&c, 1}, out);
        if (call_->complete() || call_->broken()) {
          end_call();
          state_ = State::kList;
        }
        return;
      case State::kName:
        return in_name(c, out);
      case State::kArguments:
        out.add_arguments(num_told_ - 1, {&c, 1});
        if (value_.add(c) == JsonValueEnd::Step::kLast) state_ = State::kName;
        return;
      case State::kContent:
        return;
    }
  }

  /// Up to the brace that opens the arguments; tags of its own are no part of the name.
  void in_name(char c, ParsedText& out) {
    if (c != '{') {
      name_ += c;
      return;
    }
    for (const std::string_view tag : {kTag, std::string_view("[ARGS]")}) {
      if (const size_t at = name_.find(tag); at != std::string::npos) name_.erase(at, tag.size());
    }
    name_ = name_.substr(0, name_.find("[CALL_ID]"));
    const size_t first = name_.find_first_not_of(kSpace);
    const size_t last = name_.find_last_not_of(kSpace);
    const std::string name =
        first == std::string::npos ? std::string() : name_.substr(first, last + 1 - first);
    name_.clear();
    well_formed_ = well_formed_ && !name.empty();
    out.calls.push_back({.index = num_told_++, .name = name, .arguments = {}});
    value_ = {};
    state_ = State::kArguments;
    step(c, out);
  }

  void end_call() {
    well_formed_ = well_formed_ && call_->complete() && call_->told() && call_->has_arguments();
    if (call_->told()) ++num_told_;
    call_.reset();
  }

  State state_ = State::kContent;
  std::string pending_;  // could still be part of the tag
  std::optional<JsonCall> call_;
  std::string name_;
  JsonValueEnd value_;
  size_t num_told_ = 0;
  std::string untold_;  // everything behind the tag, in case that no call is told
  bool well_formed_ = true;
};

}  // namespace

std::unique_ptr<ToolParser> make_mistral_parser() { return std::make_unique<MistralParser>(); }

}  // namespace touchstone::server::api
