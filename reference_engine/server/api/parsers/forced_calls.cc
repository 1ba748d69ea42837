// Calls that the request demands, so that the grammar has the answer be one: a JSON array of calls,
// or the arguments of the named tool. Source: vLLM 0.32 tool_parsers/streaming.py.
#include <algorithm>
#include <optional>
#include <utility>

#include "reference_engine/server/api/parsers/json_call.h"
#include "reference_engine/server/api/parsers/tool_parser.h"

namespace touchstone::server::api {
namespace {

class RequiredParser final : public ToolParser {
 public:
  void add(std::string_view text, ParsedText& out) override {
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
  void finish(ParsedText&) override {
    if (call_) end_call();
  }
  bool well_formed() const override { return well_formed_; }

 private:
  void end_call() {
    well_formed_ = well_formed_ && call_->complete() && call_->told() && call_->has_arguments();
    if (call_->told()) ++num_told_;
    call_.reset();
  }

  std::optional<JsonCall> call_;
  size_t num_told_ = 0;
  bool well_formed_ = true;
};

class NamedParser final : public ToolParser {
 public:
  explicit NamedParser(std::string name) : name_(std::move(name)) {}

  void add(std::string_view text, ParsedText& out) override {
    if (text.empty()) return;
    if (!std::exchange(told_, true)) {
      out.calls.push_back({.index = 0, .name = name_, .arguments = {}});
    }
    out.add_arguments(0, text);
  }
  void finish(ParsedText&) override {}
  bool well_formed() const override { return true; }

 private:
  const std::string name_;
  bool told_ = false;
};

}  // namespace

std::unique_ptr<ToolParser> make_required_parser() { return std::make_unique<RequiredParser>(); }

std::unique_ptr<ToolParser> make_named_parser(std::string name) {
  return std::make_unique<NamedParser>(std::move(name));
}

}  // namespace touchstone::server::api
