// Chat templates: the Jinja subset that tokenizer_config.json and chat_template.jinja of the named
// model families use, rendered as transformers does (trim_blocks, lstrip_blocks).
// Anything else is refused by name when the template is loaded. Immutable; thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
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
  /// From what --chat-template says: a file's name, or the template itself, which holds a brace or
  /// a line end. ERRORS: kInvalidArgument for what looks like a file and cannot be read.
  static Result<std::unique_ptr<ChatTemplate>> of_argument(const std::string& file_or_template);
  ~ChatTemplate();

  /// `context`: an object with messages, add_generation_prompt, bos_token, eos_token, ….
  /// ERRORS: kInvalidArgument with the text of raise_exception(…), or of an undefined value used.
  /// `now`: Unix time in nanoseconds, for strftime_now (in UTC), which is undefined without it.
  Result<std::string> render(const nlohmann::json& context,
                             std::optional<int64_t> now = std::nullopt) const;
  /// The same with mappings in the order in which they were written.
  Result<std::string> render(const nlohmann::ordered_json& context,
                             std::optional<int64_t> now = std::nullopt) const;

  /// Whether the template loops over the content of messages, that is, takes content parts as a
  /// list instead of one text.
  bool loops_over_content() const;

 private:
  class Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace touchstone::chat_template
