// Chat templates: the Jinja subset that tokenizer_config.json and chat_template.jinja of the named
// model families use, rendered as transformers does (trim_blocks, lstrip_blocks).
// Anything else is refused by name when the template is loaded. Immutable; thread-safe.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"

namespace touchstone::chat_template {

class ChatTemplate final {
 public:
  /// ERRORS: kUnsupported or kMalformed with template line and construct.
  static Result<std::unique_ptr<ChatTemplate>> parse(const std::string& source);
  /// From chat_template.jinja, else "chat_template" of tokenizer_config.json.
  /// ERRORS: kNotFound when the folder has neither.
  static Result<std::unique_ptr<ChatTemplate>> load(const std::string& folder);
  ~ChatTemplate();

  /// `context`: an object with messages, add_generation_prompt, bos_token, eos_token, ….
  /// ERRORS: kInvalidArgument with the text of raise_exception(…), or of an undefined value used.
  Result<std::string> render(const nlohmann::json& context) const;

  /// Whether the template loops over the content of messages, that is, takes content parts as a
  /// list instead of one text.
  bool loops_over_content() const;

 private:
  class Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace touchstone::chat_template
