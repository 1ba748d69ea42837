// In place of xgrammar_compiler.cc where the program is built without xgrammar.
#include "reference_engine/grammar/compiler.h"

namespace touchstone::grammar {
namespace {

class NoCompiler final : public Compiler {
 public:
  Status check(const GrammarSpec&) const override {
    return Error{ErrorCode::kUnsupported,
                 "structured output is not supported: this program was built without xgrammar; "
                 "scripts/xgrammar fetches it, then build again",
                 {}};
  }
  Status compile(const GrammarSpec& spec, Done) override { return check(spec); }
};

}  // namespace

std::unique_ptr<Compiler> Compiler::make(const Vocabulary&, const CompilerOptions&) {
  return std::make_unique<NoCompiler>();
}

bool is_built_in() { return false; }

}  // namespace touchstone::grammar
