// The server that the exchanges in fixtures/captures/vllm-0.32.0 were recorded from, as a context.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/served_adapter.h"
#include "tests/support/exchange_compare.h"

namespace touchstone::server::api {

class RecordedContext {
 public:
  RecordedContext();
  const ApiContext& context() const { return context_; }

 private:
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
  std::unique_ptr<chat_template::ChatTemplate> template_;
  std::unique_ptr<AdapterDirectory> adapters_;  // the recorded one alone
  ApiContext context_;
};

/// All 121, or an empty list after a failure of the test.
std::vector<test::Exchange> recorded_exchanges();

}  // namespace touchstone::server::api
