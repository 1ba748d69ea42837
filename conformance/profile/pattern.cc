#include "conformance/profile/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <utility>

namespace touchstone::conformance {
namespace {

// A match may take at most this many steps: patterns of profiles need a few per character.
constexpr uint32_t kMatchLimit = 100'000;

}  // namespace

struct Pattern::Code {
  pcre2_code* code = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_match_data* data = nullptr;
  ~Code() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_code_free(code);
  }
};

Pattern::Pattern(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

Result<Pattern> Pattern::compile(const std::string& expression, Extent extent) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto code = std::make_unique<Code>();
  const uint32_t anchors = extent == Extent::kWhole ? PCRE2_ANCHORED | PCRE2_ENDANCHORED : 0;
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                             anchors | PCRE2_UTF, &error, &offset, nullptr);
  if (code->code == nullptr) {
    PCRE2_UCHAR reason[160] = {};
    pcre2_get_error_message(error, reason, sizeof(reason));
    return invalid_argument("pattern /" + expression + "/ at offset " + std::to_string(offset) +
                            ": " + reinterpret_cast<const char*>(reason));
  }
  pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE);  // without it the interpreter matches
  code->context = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(code->context, kMatchLimit);
  code->data = pcre2_match_data_create_from_pattern(code->code, nullptr);
  return Pattern(std::move(code));
}

bool Pattern::matches(std::string_view text) const {
  return pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0,
                     code_->data, code_->context) >= 0;
}

}  // namespace touchstone::conformance
