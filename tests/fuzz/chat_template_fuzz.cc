// Chat templates: parsing, and rendering a conversation with what parsed.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/check.h"
#include "reference_engine/chat_template/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const nlohmann::json context = {{"messages",
                                          {{{"role", "system"}, {"content", "Be terse."}},
                                           {{"role", "user"}, {"content", "Hi \u00e9 there"}},
                                           {{"role", "assistant"},
                                            {"content", "<think>x</think>Yes"},
                                            {"n", 2},
                                            {"list", {1, 2.5, nullptr, true}}}}},
                                         {"add_generation_prompt", true},
                                         {"bos_token", "<s>"},
                                         {"eos_token", "</s>"}};
  const auto parsed = touchstone::chat_template::ChatTemplate::parse(
      std::string(reinterpret_cast<const char*>(data), size));
  if (!parsed) {
    BASE_CHECK(!parsed.error().message.empty());
    return 0;
  }
  (void)(*parsed)->render(context);
  (void)(*parsed)->loops_over_content();
  return 0;
}
