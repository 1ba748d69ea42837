#include "cli/compatibility.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/text.h"
#include "cli/serve_environment.h"
#include "cli/serve_flags.h"
#include "cli/unhonoured_flags.h"
#include "reference_engine/server/api/known_fields.h"
#include "reference_engine/server/service.h"
#include "telemetry/prometheus/vllm_metrics.h"

namespace touchstone::cli {
namespace {

using Kind = UnhonouredFlag::Kind;
using server::api::BodyKind;
using server::api::KnownField;

/// What vLLM serves and this server does not, and why.
struct Absent {
  const char* what;
  const char* why;
};
constexpr Absent kAbsentEndpoints[] = {
    {"/v1/messages, /v1/messages/count_tokens", "not written yet"},
    {"/v1/chat/completions/batch", "send the requests one by one"},
    {"/cohere/v2/chat", "another API"},
    {"/generative_scoring, /v1/systemone", "no scoring"},
    {"/v1/completions/render, /v1/chat/completions/render, …/derender, /v1/messages/render, "
     "/v1/responses/render",
     "/tokenize shows the ids"},
    {"/inference/v1/generate", "/v1/completions takes and gives token ids"},
    {"/v1/embeddings, /v2/embed, /pooling, /classify, /score, /v1/score, /rerank, /v1/rerank, "
     "/v2/rerank",
     "no pooling models"},
    {"/v1/audio/transcriptions, /v1/audio/translations, /v1/realtime", "no audio models"},
    {"/sleep, /wake_up, /is_sleeping, /release_kv_cache_memory", "memory is kept while it runs"},
    {"/pause, /resume, /is_paused, /abort_requests, /weight_info, /weight_checker, "
     "/init_weight_transfer_engine and the other updates of weights",
     "no training loop around it"},
    {"/collective_rpc, /get_world_size, /scale_elastic_ep, /is_scaling_elastic_ep, "
     "/fault_tolerance/apply, /fault_tolerance/status",
     "one process"},
    {"/start_profile, /stop_profile", "no profiler in the server"},
    {"/kv_event_sources", "no KV events"},
    {"/docs, /redoc", "their scripts come from elsewhere; /openapi.json is what they show"},
};
constexpr Absent kAbsentMetrics[] = {
    {"python_gc_*, python_info", "the server is not Python"},
    {"vllm:kv_block_*", "block residency is not sampled"},
    {"vllm:kv_offload_*, vllm:simple_kv_offload_*, vllm:num_requests_kv_fetch_by_stage",
     "keys and values stay where they are"},
    {"vllm:sleep_mode_*, vllm:rl_weight_update_*", "no such operations"},
    {"vllm:websocket_*, vllm:watermark_requests", "no audio, no watermarks"},
    {"vllm:spec_decode_*, vllm:diffusion_*", "no such decoding"},
    {"vllm:tool_call_parser_invocations", "not counted yet"},
    {"vllm:corrupted_requests", "weights that are not finite are refused"},
};

std::string cell(std::string text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

void row(std::string& out, const std::vector<std::string>& cells) {
  out += "|";
  for (const std::string& each : cells) out += " " + cell(each) + " |";
  out += "\n";
}

void head(std::string& out, const std::vector<std::string>& names) {
  row(out, names);
  out += "|";
  for (size_t i = 0; i < names.size(); ++i) out += "---|";
  out += "\n";
}

std::string code(const std::string& text) { return "`" + text + "`"; }

void add_honoured_flags(const CLI::App& serve, bool own, std::string& out) {
  head(out, {"Flag", "Default", "Meaning"});
  std::map<std::string, const CLI::Option*> sorted;
  for (const CLI::Option* option : serve.get_options()) {
    const bool is_own = option->get_group() == kOwnGroup;
    if (option->get_group().empty() || option->get_lnames().empty() || is_own != own) continue;
    sorted["--" + option->get_lnames()[0]] = option;
  }
  sorted.erase("--help");
  for (const auto& [name, option] : sorted) {
    std::string names;
    for (const std::string& each : option->get_lnames()) {
      if (!each.starts_with("no-")) names += (names.empty() ? "" : " ") + code("--" + each);
    }
    row(out, {names, option->get_default_str(), option->get_description()});
  }
}

std::string state_of(const UnhonouredFlag& flag) {
  const std::string harmless = flag.harmless;
  if (harmless == "*") return "accepted aloud";
  if (harmless.empty()) return "refused";
  return "only " + code(join(split(harmless, '|'), ", ")) + ", aloud";
}

void add_unhonoured(std::string& out) {
  head(out, {"Flag", "State", "Reason"});
  std::vector<UnhonouredFlag> flags = unhonoured_flags();
  std::ranges::sort(flags, {}, [](const UnhonouredFlag& flag) { return std::string(flag.name); });
  for (const UnhonouredFlag& flag : flags) {
    std::string name = flag.name;
    if (flag.kind == Kind::kSwitch && flag.on_by_default) name = "--no-" + name.substr(2);
    std::string names = code(name);
    if (*flag.alias != '\0') names += " " + code(flag.alias);
    row(out, {names, state_of(flag), flag.reason});
  }
}

void add_fields(std::string& out) {
  constexpr std::pair<BodyKind, const char*> kKinds[] = {{BodyKind::kCompletion, "completions"},
                                                         {BodyKind::kChat, "chat"},
                                                         {BodyKind::kResponses, "responses"},
                                                         {BodyKind::kTokenize, "tokenize"},
                                                         {BodyKind::kDetokenize, "detokenize"}};
  constexpr const char* kStates[] = {"honoured", "accepted", "refused"};
  head(out, {"Field", "Of", "State", "Reason"});
  std::vector<KnownField> fields(server::api::known_fields().begin(),
                                 server::api::known_fields().end());
  std::ranges::sort(fields, {}, [](const KnownField& field) { return std::string(field.name); });
  for (const KnownField& field : fields) {
    std::vector<std::string> kinds;
    for (const auto& [kind, name] : kKinds) {
      if ((field.kinds & static_cast<unsigned>(kind)) != 0) kinds.emplace_back(name);
    }
    row(out,
        {code(field.name), join(kinds, ", "), kStates[static_cast<int>(field.use)], field.reason});
  }
}

void add_endpoints(std::string& out) {
  head(out, {"Endpoint", "State"});
  std::map<std::string, std::string> served;  // path → methods and need
  for (const server::ServedRoute& route : server::served_routes()) {
    std::string& text = served[std::string(route.path)];
    text += (text.empty() ? "served: " : ", ") + std::string(route.method);
    if (*route.needs != '\0') text += ", with " + code(route.needs);
  }
  for (const auto& [path, text] : served) row(out, {code(path), text});
  for (const Absent& absent : kAbsentEndpoints) {
    row(out, {absent.what, std::string("not served: ") + absent.why});
  }
}

void add_metrics(std::string& out) {
  head(out, {"Metric", "Type"});
  telemetry::VllmMetricsConfig config;
  config.model_name = "model";
  config.max_model_len = 2048;
  const telemetry::VllmMetrics metrics(config);
  for (const std::string& line : split(metrics.render(), '\n')) {
    const std::vector<std::string> words = split(line, ' ');
    const bool is_type = words.size() == 4 && words[0] == "#" && words[1] == "TYPE";
    if (is_type && !words[2].ends_with("_created")) row(out, {code(words[2]), words[3]});
  }
  for (const Absent& absent : kAbsentMetrics) {
    row(out, {absent.what, std::string("absent: ") + absent.why});
  }
}

}  // namespace

std::string compatibility_text(const CLI::App& serve) {
  std::string out =
      "# What of vLLM 0.32.0 this server has\n\n"
      "Made by `touchstone serve --compatibility`; a test compares. Nothing that a person or "
      "client "
      "asks for is left out in silence: it is honoured, accepted aloud because it cannot change an "
      "answer, or refused with its reason.\n\n"
      "## Flags that are honoured\n\nUnderscores may stand for dashes, `--config file.yaml` holds "
      "flags, `--some-config.key value` is JSON, and a switch has its `--no-` twin.\n\n";
  add_honoured_flags(serve, false, out);
  out += "\n## Flags beyond vLLM\n\n";
  add_honoured_flags(serve, true, out);
  out +=
      "\n## Flags without effect\n\nThe default value, and the other half of a switch, are always "
      "accepted.\n\n";
  add_unhonoured(out);
  out += "\n## Environment variables\n\n";
  head(out, {"Variable", "Meaning"});
  for (const KnownVariable& variable : known_variables()) {
    row(out, {code(variable.name), variable.meaning});
  }
  row(out, {"every other `VLLM_*`",
            "said to have no effect; an error with "
            "`--fail-on-environ-validation`"});
  out +=
      "\n## Fields of requests\n\nA field that no schema of vLLM has is ignored and logged, as "
      "vLLM does.\n\n";
  add_fields(out);
  out += "\n## Endpoints\n\n";
  add_endpoints(out);
  out += "\n## Metrics\n\n";
  add_metrics(out);
  return out;
}

}  // namespace touchstone::cli
