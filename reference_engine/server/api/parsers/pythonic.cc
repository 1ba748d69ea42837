// Llama 3.2 and others: the whole answer is a list of Python calls, [f(a=1, b="x"), g()]. Each call
// is told when it is complete. An answer that begins otherwise is content.
#include <utility>

#include "reference_engine/server/api/parsers/python_literal.h"
#include "reference_engine/server/api/parsers/tool_parser.h"
#include "reference_engine/server/api/python_text.h"

namespace touchstone::server::api {
namespace {

constexpr std::string_view kSpace = " \n\r\t";

class PythonicParser final : public ToolParser {
 public:
  void add(std::string_view text, ParsedText& out) override {
    if (mode_ == Mode::kContent) {
      out.content += text;
      return;
    }
    text_ += text;
    if (mode_ == Mode::kUndecided) {
      const size_t first = text_.find_first_not_of(kSpace);
      if (first == std::string::npos) return;
      if (text_[first] != '[') {
        mode_ = Mode::kContent;
        out.content += std::exchange(text_, {});
        return;
      }
      mode_ = Mode::kCalls;
      read_ = first + 1;
    }
    // A call ends with a parenthesis: without a new one there is nothing to tell.
    if (text.find_first_of(")]") != std::string_view::npos) tell(out);
  }

  void finish(ParsedText& out) override {
    if (num_told_ == 0) out.content += text_;
  }

  bool well_formed() const override { return mode_ != Mode::kCalls || closed_; }

 private:
  enum class Mode { kUndecided, kContent, kCalls };

  void tell(ParsedText& out) {
    while (!closed_) {
      PythonReader reader(std::string_view(text_).substr(read_));
      if (num_told_ > 0 && !reader.take(',')) {
        closed_ = reader.take(']') && reader.at_end();
        return;
      }
      const auto call = reader.call();
      if (!call) {
        PythonReader end(std::string_view(text_).substr(read_));
        closed_ = num_told_ > 0 && end.take(',') && end.take(']') && end.at_end();
        return;
      }
      read_ += reader.position();
      out.calls.push_back(
          {.index = num_told_++, .name = call->name, .arguments = python_json(call->arguments)});
    }
  }

  Mode mode_ = Mode::kUndecided;
  std::string text_;
  size_t read_ = 0;  // what is told of text_
  size_t num_told_ = 0;
  bool closed_ = false;
};

}  // namespace

std::unique_ptr<ToolParser> make_pythonic_parser() { return std::make_unique<PythonicParser>(); }

}  // namespace touchstone::server::api
