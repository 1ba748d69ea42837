// A path and a body through everything behind the sockets: routes, parser, template, tokenizer,
// engine, scheduler, backend, response. Whatever it is, it gets an answer that is no 500, and the
// engine goes on. Input: the path, a line end, the body.
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "reference_engine/backend/cpu/cpu_backend.h"
#include "reference_engine/chat_template/chat_template.h"
#include "reference_engine/engine/engine.h"
#include "reference_engine/model/loaded_model.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/server_log.h"
#include "reference_engine/server/service.h"
#include "reference_engine/server/telemetry_sinks.h"
#include "reference_engine/tokenizer/tokenizer.h"
#include "tests/support/paths.h"

namespace {

using namespace touchstone;  // NOLINT

const std::string kModel = support::source_dir() + "/fixtures/models/vllm-capture";

/// Short and tight: bodies reach every limit, and requests preempt each other.
scheduler::Config small_config() {
  return {.num_blocks = 9,
          .block_size = 16,
          .max_num_seqs = 4,
          .max_num_batched_tokens = 64,
          .max_model_len = 96};
}

struct Server {
  RealClock clock;
  server::ServerLog::Write log = [](const std::string&) { return true; };
  std::unique_ptr<tokenizer::Tokenizer> tokenizer =
      std::move(tokenizer::Tokenizer::load(kModel)).value();
  std::unique_ptr<chat_template::ChatTemplate> chat_template =
      std::move(chat_template::ChatTemplate::load(kModel)).value();
  std::unique_ptr<backend::Backend> backend =
      backend::cpu::cpu_factory()->create(kModel, {.settings = {{"threads", "1"}}}).value();
  std::unique_ptr<server::TelemetrySinks> sinks =
      std::move(server::TelemetrySinks::open({}, small_config(), clock, log)).value();
  server::ServerLog server_log{{.access = true}, clock, log};
  server::api::ApiContext context = make_context();
  std::unique_ptr<engine::Engine> engine = make_engine();
  server::Service service{[] {
                            server::ServiceOptions options;
                            options.version = "fuzz";
                            return options;
                          }(),
                          clock,
                          context,
                          *engine,
                          *sinks,
                          server_log};

  server::api::ApiContext make_context() const {
    server::api::ApiContext made;
    made.served_model_names = {"tiny"};
    made.tokenizer = tokenizer.get();
    made.chat_template = chat_template.get();
    const auto config = model::load_config(kModel, &made.defaults);
    BASE_CHECK(config && server::api::load_special_tokens(kModel, config->eos_token_ids, made));
    made.max_model_len = small_config().max_model_len;
    made.vocab_size = backend->model().vocab_size;
    made.max_choices = 12;
    return made;
  }
  std::unique_ptr<engine::Engine> make_engine() {
    BASE_CHECK(backend->allocate_kv(small_config().num_blocks, small_config().block_size));
    auto made = std::make_unique<engine::Engine>(engine::EngineOptions{.scheduler = small_config()},
                                                 clock, *backend, *tokenizer, *sinks);
    made->start([] {});
    return made;
  }
};

/// Takes a pending reply to its end; the text that it streamed.
std::string finish(http::PendingReply& pending) {
  std::mutex mutex;
  std::condition_variable changed;
  bool woken = false;
  pending.set_wake([&] {
    const std::lock_guard lock(mutex);
    woken = true;
    changed.notify_one();
  });
  std::string text = pending.take();
  while (!pending.finished()) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return std::exchange(woken, false); });
    lock.unlock();
    text += pending.take();
  }
  pending.set_wake({});
  return text;
}

void check_json(const std::string& text) {
  BASE_CHECK(!nlohmann::json::parse(text, nullptr, false).is_discarded(), text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Server server;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line_end = std::min(input.find('\n'), input.size());
  http::HttpRequest request;
  request.method = "POST";
  request.target = request.path = std::string(input.substr(0, line_end));
  request.headers = {{"content-type", "application/json"}};
  http::Admission admission = server.service.admit(request);
  if (admission.refusal) {
    BASE_CHECK(admission.refusal->response.status == 404 ||
               admission.refusal->response.status == 405);
    return 0;
  }
  request.body = std::string(input.substr(std::min(line_end + 1, input.size())));
  http::Reply reply = server.service.handle(request);
  http::HttpResponse response = reply.response;
  if (reply.pending) {
    const std::string streamed = finish(*reply.pending);
    response = reply.pending->response();
    if (reply.pending->streams()) {
      BASE_CHECK(streamed.ends_with("data: [DONE]\n\n"), streamed);
      BASE_CHECK(streamed.find("\"error\"") == std::string::npos, streamed);
    } else {
      check_json(response.body);
    }
  } else if (!response.body.empty()) {
    check_json(response.body);
  }
  BASE_CHECK(response.status == 200 || response.status == 400 || response.status == 404 ||
                 response.status == 501,
             response.status, response.body);
  BASE_CHECK(!server.engine->failed(), server.engine->failure());
  return 0;
}
