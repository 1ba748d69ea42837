#include "reference_engine/server/structured_output.h"

#include <atomic>
#include <utility>

namespace touchstone::server {
namespace {

class Constraint final : public engine::TokenConstraint {
 public:
  explicit Constraint(std::unique_ptr<grammar::Matcher> matcher) : matcher_(std::move(matcher)) {}
  void fill(std::span<int32_t> words) override { matcher_->fill(words); }
  bool accept(int32_t token) override { return matcher_->accept(token); }

 private:
  const std::unique_ptr<grammar::Matcher> matcher_;
};

/// Written once, by the thread that compiled, before the state says so.
class Source final : public engine::ConstraintSource {
 public:
  explicit Source(std::vector<int32_t> stop_tokens) : stop_tokens_(std::move(stop_tokens)) {}

  void set(Result<std::shared_ptr<const grammar::CompiledGrammar>> compiled) {
    if (compiled) {
      grammar_ = *std::move(compiled);
    } else {
      failure_ = compiled.error().message;
    }
    state_.store(grammar_ != nullptr ? State::kReady : State::kFailed);
  }

  State state() const override { return state_.load(); }
  std::string failure() const override { return failure_; }
  std::unique_ptr<engine::TokenConstraint> make() const override {
    return std::make_unique<Constraint>(grammar_->matcher(stop_tokens_));
  }

 private:
  const std::vector<int32_t> stop_tokens_;
  std::atomic<State> state_{State::kPending};
  std::shared_ptr<const grammar::CompiledGrammar> grammar_;
  std::string failure_;
};

grammar::Vocabulary vocabulary_of(const api::ApiContext& context) {
  const tokenizer::Tokenizer& tokenizer = *context.tokenizer;
  grammar::Vocabulary vocabulary;
  vocabulary.size = context.vocab_size;
  vocabulary.bytes.reserve(static_cast<size_t>(tokenizer.vocab_size()));
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    vocabulary.bytes.emplace_back(tokenizer.is_special(id) ? std::string_view()
                                                           : tokenizer.token_bytes(id));
  }
  if (context.eos_token_id) vocabulary.stop_tokens = {*context.eos_token_id};
  return vocabulary;
}

}  // namespace

StructuredOutput::StructuredOutput(const api::ApiContext& context, engine::Engine& engine)
    : context_(context), engine_(engine) {}

grammar::Compiler& StructuredOutput::compiler() {
  std::call_once(made_, [this] {
    compiler_ = grammar::Compiler::make(vocabulary_of(context_), {.clock = context_.clock});
  });
  return *compiler_;
}

Result<std::shared_ptr<const engine::ConstraintSource>> StructuredOutput::start(
    const grammar::GrammarSpec& spec, std::vector<int32_t> stop_tokens) {
  RETURN_IF_ERROR(compiler().check(spec));
  auto source = std::make_shared<Source>(std::move(stop_tokens));
  RETURN_IF_ERROR(compiler().compile(spec, [this, source](auto compiled) {
    source->set(std::move(compiled));
    engine_.wake();
  }));
  return std::shared_ptr<const engine::ConstraintSource>(source);
}

}  // namespace touchstone::server
