// Flags of vLLM's HTTP server and its API.
#include "cli/unhonoured_flags.h"

namespace touchstone::cli {
namespace {

using Kind = UnhonouredFlag::Kind;

constexpr const char* kNoPython = "the server is not Python and loads no code";
constexpr const char* kNotUvicorn = "the server is not uvicorn";
constexpr const char* kNoSplit = "frontend and engine are one process here";
constexpr const char* kNoSupervisor = "there is one engine, which needs no supervisor";
constexpr const char* kNoCohere = "/cohere/v2/chat is not served";
constexpr const char* kNoAnthropic = "/v1/messages is not served";
constexpr const char* kNoDocs = "there are no such pages, only /openapi.json";
constexpr const char* kNoRequestLog =
    "requests are written by --request-log FILE, as records without content";
constexpr const char* kNoText = "no text of requests or answers is logged";

constexpr UnhonouredFlag kFlags[] = {
    {"--trust-request-mm-kwargs", "", Kind::kSwitch, "*", "messages are text"},
    {"--tool-parser-plugin", "", Kind::kValue, "", kNoPython},
    {"--tool-strict-level", "", Kind::kValue, "auto", "tool calls follow the request's own strict"},
    {"--tool-server", "", Kind::kValue, "", "tools are the client's to call"},
    {"--reasoning-parser-plugin", "", Kind::kValue, "", kNoPython},
    {"--io-processor-plugin", "", Kind::kValue, "", kNoPython},
    {"--middleware", "", Kind::kValue, "", kNoPython},
    {"--max-log-len", "", Kind::kValue, "*", kNoText},
    {"--enable-log-requests", "", Kind::kSwitch, "", kNoRequestLog},
    {"--disable-log-requests", "", Kind::kSwitch, "*", kNoRequestLog},
    {"--enable-log-outputs", "", Kind::kSwitch, "", kNoText},
    {"--enable-log-deltas", "", Kind::kSwitch, "*", kNoText, true},
    {"--log-error-stack", "", Kind::kSwitch, "*", "errors are values and have no stack"},
    {"--log-level", "", Kind::kValue, "*", "the log has one level"},
    {"--log-config-file", "", Kind::kValue, "", kNoPython},
    {"--logging-config", "", Kind::kValue, "", kNoPython},
    {"--uvicorn-log-level", "", Kind::kValue, "*", kNotUvicorn},
    {"--enable-per-request-metrics", "", Kind::kSwitch, "",
     "answers carry no timings; --request-log FILE has them"},
    {"--sse-keep-alive-interval", "", Kind::kValue, "0", "streams have no comment lines"},
    {"--tokens-only", "", Kind::kSwitch, "", "/inference/v1/generate is not served"},
    {"--enable-scale-out", "", Kind::kSwitch, "", "render and generate endpoints are not served"},
    {"--cohere-is-reasoning-model", "", Kind::kSwitch, "*", kNoCohere, true},
    {"--cohere-format", "", Kind::kValue, "*", kNoCohere},
    {"--anthropic-disabled-thinking-effort", "", Kind::kValue, "*", kNoAnthropic},
    {"--enable-offline-docs", "", Kind::kSwitch, "", kNoDocs},
    {"--enable-flash-late-interaction", "", Kind::kSwitch, "*", "no pooling model is served", true},
    {"--grpc", "", Kind::kSwitch, "", "the API is HTTP"},
    {"--grpc-port", "", Kind::kValue, "", "the API is HTTP"},
    {"--headless", "", Kind::kSwitch, "", kNoSplit},
    {"--api-server-count", "-asc", Kind::kValue, "1", kNoSplit},
    {"--data-parallel-supervisor-port", "", Kind::kValue, "*", kNoSupervisor},
    {"--dp-supervisor-probe-interval-s", "", Kind::kValue, "*", kNoSupervisor},
    {"--dp-supervisor-probe-timeout-s", "", Kind::kValue, "*", kNoSupervisor},
    {"--dp-supervisor-probe-failure-threshold", "", Kind::kValue, "*", kNoSupervisor},
    {"--aggregate-engine-logging", "", Kind::kSwitch, "*", kNoSupervisor},
    {"--show-hidden-metrics-for-version", "", Kind::kValue, "*", "0.32.0 hides no metric"},
    {"--collect-detailed-traces", "", Kind::kValue, "*", "it has no effect in vLLM's V1 engine"},
    {"--per-request-spec-decode-metrics", "", Kind::kValue, "none", "there is no speculation"},
    {"--kv-cache-metrics", "", Kind::kSwitch, "", "block residency is not sampled"},
    {"--kv-cache-metrics-sample", "", Kind::kValue, "*", "block residency is not sampled"},
    {"--custom-histogram-buckets", "", Kind::kValue, "{}", "buckets are vLLM's own"},
    {"--cudagraph-metrics", "", Kind::kSwitch, "", "CUDA graphs are not counted"},
    {"--enable-layerwise-nvtx-tracing", "", Kind::kSwitch, "", "there are no NVTX ranges"},
    {"--enable-mfu-metrics", "", Kind::kSwitch, "", "flops are not estimated"},
    {"--enable-logging-iteration-details", "", Kind::kSwitch, "", "use --step-log FILE"},
};

}  // namespace

std::span<const UnhonouredFlag> unhonoured_server_flags() { return kFlags; }

}  // namespace touchstone::cli
