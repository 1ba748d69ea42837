// What the model's folder and the flags give to the API side: tokenizer, chat template, parsers and
// the context that requests are read in. Thread-safe to read.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "reference_engine/chat_template/chat_template.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/serve.h"
#include "reference_engine/server/server_log.h"
#include "reference_engine/tokenizer/tokenizer.h"

namespace touchstone::server {

/// The context borrows from the rest.
struct ModelFrontEnd {
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  std::unique_ptr<chat_template::ChatTemplate> chat_template;  ///< null: the folder has none
  api::ApiContext context;
  std::string tokenizer_info;  ///< of GET /tokenizer_info; empty: it is not served
};

/// The model as it was asked for: a hub's name, or its folder.
std::string model_name(const ServeOptions& options);

/// The answer to GET /server_info.
std::string server_info(const ServeOptions& options, const scheduler::Config& config);

/// Without the clock, the lengths and the fingerprint, which follow from the backend.
/// ERRORS: kInvalidArgument: a flag's value; what reading the folder's files gives.
Result<ModelFrontEnd> load_front_end(const ServeOptions& options, const ServerLog::Write& log);

}  // namespace touchstone::server
