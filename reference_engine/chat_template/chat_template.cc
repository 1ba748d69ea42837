#include "reference_engine/chat_template/chat_template.h"

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/text.h"
#include "reference_engine/chat_template/jinja_evaluator.h"
#include "reference_engine/chat_template/jinja_parser.h"

namespace touchstone::chat_template {
namespace {

using nlohmann::json;

// "chat_template" is a text, or a list of named ones of which "default" counts.
Result<std::string> template_of_config(const std::string& path, const json& config) {
  const json chat_template = config.is_object() ? config.value("chat_template", json()) : json();
  if (chat_template.is_string()) return chat_template.get<std::string>();
  if (chat_template.is_array()) {
    for (const json& entry : chat_template) {
      if (entry.is_object() && entry.value("name", json()) == "default" &&
          entry.value("template", json()).is_string()) {
        return entry["template"].get<std::string>();
      }
    }
  }
  if (chat_template.is_null()) return not_found(path + ": no chat_template");
  return malformed(path + ": chat_template: expected a text, or a list with one named \"default\"");
}

}  // namespace

class ChatTemplate::Impl {
 public:
  Result<std::string> render(const Value& context, std::optional<int64_t> now) const {
    if (context.as_dict() == nullptr) return invalid_argument("chat template: expected an object");
    return evaluate(body, *context.as_dict(), now);
  }

  Body body;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::~ChatTemplate() = default;

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::parse(const std::string& source) {
  // Rendering counts and cuts characters, of the template's own texts too.
  if (!is_valid_utf8(source)) {
    return malformed("chat template: got bytes that are not UTF-8, expected text",
                     "is it the right file, saved as UTF-8?");
  }
  auto body = chat_template::parse(source);
  if (!body) return std::move(body).error().with_context("chat template");
  auto impl = std::make_unique<Impl>();
  impl->body = std::move(*body);
  return std::unique_ptr<ChatTemplate>(new ChatTemplate(std::move(impl)));
}

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::load(const std::string& folder) {
  const std::string path = folder + "/chat_template.jinja";
  auto source = read_file(path);
  if (source) return parse(*source);
  if (source.error().code != ErrorCode::kNotFound) return std::move(source).error();
  const std::string config_path = folder + "/tokenizer_config.json";
  auto config = read_file(config_path);
  if (!config) return std::move(config).error();
  const json tree = json::parse(*config, nullptr, false);
  if (tree.is_discarded()) return malformed(config_path + ": not JSON");
  auto found = template_of_config(config_path, tree);
  if (!found) return std::move(found).error();
  return parse(*found);
}

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::of_argument(
    const std::string& file_or_template) {
  auto source = read_file(file_or_template);
  if (source) {
    auto parsed = parse(*source);
    if (!parsed) return std::move(parsed).error().with_context(file_or_template);
    return parsed;
  }
  if (file_or_template.find_first_of("{}\n") != std::string::npos) return parse(file_or_template);
  return invalid_argument("--chat-template: got " + quote(file_or_template) +
                              ", expected a file or a template: " + source.error().message,
                          "a template on the command line holds at least one brace");
}

Result<std::string> ChatTemplate::render(const json& context, std::optional<int64_t> now) const {
  return impl_->render(Value::from_json(context), now);
}

Result<std::string> ChatTemplate::render(const nlohmann::ordered_json& context,
                                         std::optional<int64_t> now) const {
  return impl_->render(Value::from_json(context), now);
}

bool ChatTemplate::loops_over_content() const {
  return chat_template::loops_over_content(impl_->body);
}

}  // namespace touchstone::chat_template
