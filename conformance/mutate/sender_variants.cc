// What senders may add of their own, and leave out.
#include "conformance/mutate/variant.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Attributes;
using telemetry::Span;

template <typename Dress>
bool each_span(Evidence& evidence, const Dress& dress) {
  for (telemetry::TraceBatch& batch : evidence.spans) {
    for (telemetry::ResourceSpans& group : batch) {
      for (telemetry::ScopeSpans& scoped : group.scope_spans) {
        for (Span& span : scoped.spans) dress(span);
      }
    }
  }
  return true;
}

bool each_resource(Evidence& evidence, const Attributes& more) {
  for (telemetry::TraceBatch& batch : evidence.spans) {
    for (telemetry::ResourceSpans& group : batch) {
      Attributes& attributes = group.resource.attributes;
      attributes.insert(attributes.end(), more.begin(), more.end());
    }
  }
  return true;
}

bool of_kubernetes(const Good&, Evidence& evidence) {
  return each_resource(evidence, {{"k8s.pod.name", "vllm-7d4b9c6f5-x2lqz"},
                                  {"k8s.namespace.name", "inference"},
                                  {"host.name", "gpu-node-17"},
                                  {"process.pid", 4711},
                                  {"process.command_args", telemetry::Value(telemetry::Value::Array{
                                                               "vllm", "serve", "model"})}});
}

/// Free text about the process, longer than any sentence of a prompt.
bool described(const Good&, Evidence& evidence) {
  return each_resource(
      evidence,
      {{"service.description", "The chat model that answers our customers in the web shop"},
       {"os.description", "Debian GNU Linux trixie with our own kernel and some patches"},
       {"process.command_line", "python -m vllm serve a model that we have tuned"},
       {"host.description", "The left machine in the second row of our old room"}});
}

bool with_tracestate(const Good&, Evidence& evidence) {
  return each_span(evidence,
                   [](Span& span) { span.trace_state = "congo=t61rcWkgMzE,rojo=00f067"; });
}

/// A remote parent and a server span, from a sender older than OTLP's flags.
bool without_flags(const Good&, Evidence& evidence) {
  return each_span(evidence, [](Span& span) { span.flags = 0; });
}

bool sampled_flag(const Good&, Evidence& evidence) {
  return each_span(evidence, [](Span& span) { span.flags |= telemetry::kFlagSampled; });
}

bool with_schema(const Good& good, Evidence& evidence) {
  for (const GoodSpan& span : good.spans()) {
    if (span.type != nullptr && span.type->schema_url) return false;
  }
  for (telemetry::TraceBatch& batch : evidence.spans) {
    for (telemetry::ResourceSpans& group : batch) {
      group.schema_url = "https://opentelemetry.io/schemas/1.43.0";
    }
  }
  return true;
}

bool scope_details(const Good&, Evidence& evidence) {
  for (telemetry::TraceBatch& batch : evidence.spans) {
    for (telemetry::ResourceSpans& group : batch) {
      for (telemetry::ScopeSpans& scoped : group.scope_spans) {
        scoped.scope.version = "1.2";
        scoped.scope.attributes = {{"build", "7"}};
      }
    }
  }
  return true;
}

/// Ids of the other endpoints, in spans and in what the clients read.
bool other_ids(const Good& good, Evidence& evidence) {
  const auto renamed = [](const std::string& id) {
    if (id.starts_with("chatcmpl-")) return "resp_" + id.substr(9);
    if (id.starts_with("cmpl-")) return "generate-tokens-" + id.substr(5);
    return id;
  };
  const std::string key = good.profiles().front().key_of("request_id");
  bool any = false;
  each_span(evidence, [&](Span& span) {
    telemetry::Value* id = value_of(span, key);
    if (id == nullptr || id->string() == nullptr) return;
    const std::string other = renamed(*id->string());
    any |= other != *id->string();
    *id = other;
  });
  if (!evidence.ledger) return any;
  for (records::LedgerEntry& entry : *evidence.ledger) {
    entry.response_id = renamed(entry.response_id);
  }
  return any;
}

bool other_languages(const Good&, Evidence& evidence) {
  return each_resource(evidence, {{"team", "\xE6\x8E\xA8\xE7\x90\x86"},
                                  {"owner", "\xD0\xB3\xD1\x80\xD1\x83\xD0\xBF\xD0\xBF\xD0\xB0"}});
}

constexpr VariantRow kRows[] = {
    {"sender.kubernetes", "resource attributes of Kubernetes and of the process", of_kubernetes},
    {"sender.described", "free text in a resource's descriptions", described},
    {"sender.languages", "resource attributes in other scripts", other_languages},
    {"sender.tracestate", "a tracestate", with_tracestate},
    {"sender.no_flags", "a sender older than OTLP's flags", without_flags, kAlways,
     result::Level::kMust},
    {"sender.sampled", "the sampled flag", sampled_flag},
    {"sender.schema", "a schema URL of the resource", with_schema},
    {"sender.scope", "a version and attributes of the scope", scope_details},
    {"sender.ids", "request ids of the endpoints responses and generate", other_ids}};

}  // namespace

VariantTable sender_variants() { return kRows; }

}  // namespace touchstone::conformance::mutate
