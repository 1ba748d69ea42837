// Grammars by xgrammar. The only file that includes it.
#include <xgrammar/xgrammar.h>

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/json_text.h"
#include "reference_engine/grammar/compiler.h"
#include "reference_engine/grammar/compiler_pool.h"
#include "reference_engine/grammar/repetition_check.h"
#include "reference_engine/grammar/schema_check.h"

namespace touchstone::grammar {
namespace {

using Kind = GrammarSpec::Kind;

/// A mask in memory of the caller, as xgrammar wants to see it.
DLTensor tensor_of(std::span<int32_t> words, int64_t& shape) {
  shape = static_cast<int64_t>(words.size());
  DLTensor tensor{};
  tensor.data = words.data();
  tensor.device = {kDLCPU, 0};
  tensor.ndim = 1;
  tensor.dtype = xgrammar::GetBitmaskDLType();
  tensor.shape = &shape;
  return tensor;
}

using Mask = std::shared_ptr<const std::vector<int32_t>>;

/// The tokens that JSON may have: xgrammar lets a string of limited length hold raw control
/// characters, which no JSON string does. Line ends it keeps out of strings itself.
Mask json_tokens(const Vocabulary& vocabulary) {
  const auto is_control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r';
  };
  auto mask = std::make_shared<std::vector<int32_t>>((vocabulary.size + 31) / 32, -1);
  for (size_t token = 0; token < vocabulary.bytes.size(); ++token) {
    if (!std::ranges::any_of(vocabulary.bytes[token], is_control)) continue;
    (*mask)[token / 32] &= static_cast<int32_t>(~(1U << (token % 32)));
  }
  return mask;
}

class XgrammarMatcher final : public Matcher {
 public:
  /// `mask`: the only tokens there are; null: all.
  XgrammarMatcher(xgrammar::GrammarMatcher matcher, Mask mask)
      : matcher_(std::move(matcher)), mask_(std::move(mask)) {}

  void fill(std::span<int32_t> words) override {
    std::ranges::fill(words, -1);
    if (matcher_.IsTerminated()) return;
    int64_t shape = 0;
    DLTensor tensor = tensor_of(words, shape);
    matcher_.FillNextTokenBitmask(&tensor);
    if (!mask_) return;
    for (size_t i = 0; i < std::min(words.size(), mask_->size()); ++i) words[i] &= (*mask_)[i];
  }

  bool accept(int32_t token) override {
    return matcher_.IsTerminated() || matcher_.AcceptToken(token);
  }

 private:
  xgrammar::GrammarMatcher matcher_;
  const Mask mask_;
};

class XgrammarGrammar final : public CompiledGrammar {
 public:
  XgrammarGrammar(xgrammar::CompiledGrammar grammar, Mask mask)
      : grammar_(std::move(grammar)), mask_(std::move(mask)) {}

  std::unique_ptr<Matcher> matcher(const std::vector<int32_t>& stop_tokens) const override {
    std::optional<std::vector<int>> stops;
    if (!stop_tokens.empty()) stops = std::vector<int>(stop_tokens.begin(), stop_tokens.end());
    return std::make_unique<XgrammarMatcher>(xgrammar::GrammarMatcher(grammar_, stops), mask_);
  }

 private:
  xgrammar::CompiledGrammar grammar_;
  const Mask mask_;
};

std::string ebnf_of(const std::vector<std::string>& choices) {
  std::string text = "root ::= ";
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) text += " | ";
    append_json_string(text, choices[i]);
  }
  return text;
}

/// What went wrong, without xgrammar's own place in front.
Error error_of(std::string text) {
  if (const size_t mark = text.find(": "); text.starts_with("[") && mark != std::string::npos) {
    text.erase(0, mark + 2);
  }
  return invalid_argument("Invalid grammar specification: " + text);
}

class XgrammarCompiler final : public Compiler {
 public:
  XgrammarCompiler(const Vocabulary& vocabulary, const CompilerOptions& options)
      : limits_(options.limits),
        pool_(options, [json = json_tokens(vocabulary), compiler = compiler_of(vocabulary)](
                           const GrammarSpec& spec) { return compile_now(spec, compiler, json); }) {
  }

  Status check(const GrammarSpec& spec) const override {
    size_t bytes = spec.text.size();
    for (const std::string& choice : spec.choices) bytes += choice.size();
    if (bytes > limits_.text_bytes_max) {
      return invalid_argument("The grammar has " + std::to_string(bytes) +
                              " bytes, more than the " + std::to_string(limits_.text_bytes_max) +
                              " that this server takes");
    }
    if (spec.choices.size() > limits_.alternatives_max) {
      return invalid_argument("The grammar has " + std::to_string(spec.choices.size()) +
                              " choices, more than the " +
                              std::to_string(limits_.alternatives_max) + " that this server takes");
    }
    switch (spec.kind) {
      case Kind::kJsonSchema:
        return check_schema(spec.text, limits_);
      case Kind::kRegex:
        if (spec.text.find('\0') == std::string::npos) return check_regex_cost(spec.text, limits_);
        return invalid_argument(
            "structured_outputs.regex must not contain a NUL character ('\\x00')");
      case Kind::kEbnf:
        return check_ebnf_cost(spec.text, limits_);
      case Kind::kStructuralTag:
        return check_structural_tag(spec.text, limits_);
      case Kind::kJsonObject:
      case Kind::kChoice:
        break;
    }
    return {};
  }

  Status compile(const GrammarSpec& spec, Done done) override {
    return pool_.compile(spec, std::move(done));
  }

 private:
  static Result<xgrammar::Grammar> grammar_of(const GrammarSpec& spec) {
    try {
      if (spec.kind == Kind::kStructuralTag) return of_structural_tag(spec.text);
      return of_description(spec);
    } catch (const std::exception& problem) {
      return error_of(problem.what());
    }
  }

  static Result<xgrammar::Grammar> of_structural_tag(const std::string& text) {
    auto tagged = xgrammar::Grammar::FromStructuralTag(text);
    if (auto* grammar = std::get_if<xgrammar::Grammar>(&tagged)) return std::move(*grammar);
    const auto& problem = std::get<xgrammar::StructuralTagError>(tagged);
    return error_of(std::visit([](const auto& each) { return std::string(each.what()); }, problem));
  }

  static xgrammar::Grammar of_description(const GrammarSpec& spec) {
    // vLLM's separators: xgrammar wants them named when white space is left out.
    std::optional<std::pair<std::string, std::string>> separators;
    if (!spec.any_whitespace) separators = {",", ":"};
    const auto schema = [&](const std::string& text) {
      return xgrammar::Grammar::FromJSONSchema(text, spec.any_whitespace, std::nullopt, separators);
    };
    switch (spec.kind) {
      case Kind::kJsonSchema:
        return schema(spec.text);
      case Kind::kJsonObject:
        return schema(R"({"type": "object"})");
      case Kind::kRegex:
        return xgrammar::Grammar::FromRegex(spec.text);
      case Kind::kChoice:
        return xgrammar::Grammar::FromEBNF(ebnf_of(spec.choices));
      case Kind::kEbnf:
      case Kind::kStructuralTag:  // has its own function
        break;
    }
    return xgrammar::Grammar::FromEBNF(spec.text);
  }

  static xgrammar::GrammarCompiler compiler_of(const Vocabulary& vocabulary) {
    return xgrammar::GrammarCompiler(
        xgrammar::TokenizerInfo(vocabulary.bytes, xgrammar::VocabType::RAW, vocabulary.size,
                                std::vector<int32_t>(vocabulary.stop_tokens)),
        1, false);
  }

  static Result<Compiled> compile_now(const GrammarSpec& spec,
                                      xgrammar::GrammarCompiler compiler,  // a handle; thread-safe
                                      const Mask& json_tokens) {
    auto grammar = grammar_of(spec);
    if (!grammar) return std::move(grammar).error();
    try {
      xgrammar::CompiledGrammar compiled = compiler.CompileGrammar(*grammar);
      const auto bytes = static_cast<int64_t>(compiled.MemorySizeBytes());
      const bool is_json = spec.kind == Kind::kJsonSchema || spec.kind == Kind::kJsonObject;
      return Compiled{.grammar = std::make_shared<XgrammarGrammar>(std::move(compiled),
                                                                   is_json ? json_tokens : nullptr),
                      .bytes = bytes};
    } catch (const std::exception& problem) {
      return error_of(problem.what());
    }
  }

  const GrammarLimits limits_;
  CompilerPool pool_;
};

}  // namespace

std::unique_ptr<Compiler> Compiler::make(const Vocabulary& vocabulary,
                                         const CompilerOptions& options) {
  return std::make_unique<XgrammarCompiler>(vocabulary, options);
}

bool is_built_in() { return true; }

}  // namespace touchstone::grammar
