#include "tests/api/recorded_context.h"

#include <gtest/gtest.h>

#include "reference_engine/model/loaded_model.h"
#include "tests/support/paths.h"

namespace touchstone::server::api {
namespace {

class OneAdapter final : public AdapterDirectory {
 public:
  std::shared_ptr<const ServedAdapter> find(std::string_view name) const override {
    return name == adapter_->name ? adapter_ : nullptr;
  }
  std::vector<std::shared_ptr<const ServedAdapter>> list() const override { return {adapter_}; }

 private:
  const std::shared_ptr<const ServedAdapter> adapter_ =
      std::make_shared<ServedAdapter>(ServedAdapter{
          .name = "tiny-lora", .path = "tiny-lora", .parent = "tiny", .id = 1, .sha256 = {}});
};

}  // namespace

RecordedContext::RecordedContext() {
  const std::string folder = support::source_dir() + "/fixtures/models/vllm-capture";
  tokenizer_ = std::move(tokenizer::Tokenizer::load(folder)).value();
  template_ = std::move(chat_template::ChatTemplate::load(folder)).value();
  context_.served_model_names = {"tiny", "tiny-alias"};
  context_.tokenizer = tokenizer_.get();
  context_.chat_template = template_.get();
  adapters_ = std::make_unique<OneAdapter>();
  context_.adapters = adapters_.get();
  context_.max_model_len = 512;
  context_.vocab_size = 2048;
  context_.enable_prompt_tokens_details = true;
  context_.system_fingerprint = "vllm-0.32.0-f6e05c0e";
  const auto config = model::load_config(folder, &context_.defaults);
  BASE_CHECK(config.has_value(), config.error().message);
  const Status loaded = load_special_tokens(folder, config->eos_token_ids, context_);
  BASE_CHECK(loaded.has_value(), loaded.error().message);
}

std::vector<test::Exchange> recorded_exchanges() {
  auto exchanges = test::load_exchanges(support::source_dir() +
                                        "/fixtures/captures/vllm-0.32.0/exchanges.jsonl");
  if (!exchanges) {
    ADD_FAILURE() << exchanges.error().message;
    return {};
  }
  return std::move(*exchanges);
}

}  // namespace touchstone::server::api
