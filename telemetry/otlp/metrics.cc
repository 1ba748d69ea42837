#include "telemetry/otlp/metrics.h"

#include <google/protobuf/util/json_util.h>
#include <opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "telemetry/otlp/protobuf.h"

namespace touchstone::telemetry {
namespace {

namespace proto = opentelemetry::proto::metrics::v1;
using Request = opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest;

constexpr char kCreated[] = "_created";
constexpr auto kCumulative = proto::AGGREGATION_TEMPORALITY_CUMULATIVE;

/// One series of a family: its samples put together.
struct Series {
  Labels labels;  ///< without le and quantile
  double value = 0;
  double count = 0;
  double sum = 0;
  std::vector<std::pair<double, double>> buckets = {};  ///< bound and cumulated count, +Inf last
  std::vector<const Exemplar*> exemplars = {};
};

Labels without_bound(Labels labels) {
  labels.erase("le");
  labels.erase("quantile");
  return labels;
}

class PageEncoder final {
 public:
  PageEncoder(const MetricsPage& page, const Exemplars& exemplars, const MetricsOrigin& origin,
              int64_t now_unix_ns, proto::ScopeMetrics& out)
      : page_(page), origin_(origin), now_unix_ns_(now_unix_ns), out_(out) {
    for (const MetricFamily& family : page.families) {
      if (!is_created(family)) continue;
      for (const Sample& sample : family.samples) {
        created_[{base_of(family), sample.labels}] = std::llround(sample.value * 1e9);
      }
    }
    for (const auto& [bucket, exemplar] : exemplars) {
      const auto named = parse_prometheus_text("exemplar", bucket + " 0\n");
      if (!named || named->families.empty()) continue;
      const Sample& sample = named->families[0].samples[0];
      exemplars_[{sample.name, without_bound(sample.labels)}].push_back(&exemplar);
    }
  }

  void encode() {
    for (const MetricFamily& family : page_.families) {
      if (!is_created(family)) encode(family);
    }
  }

 private:
  using Key = std::pair<std::string, Labels>;

  static std::string base_of(const MetricFamily& family) {
    return family.name.substr(0, family.name.size() - (sizeof kCreated - 1));
  }
  /// When the series of another family began.
  bool is_created(const MetricFamily& family) const {
    if (family.type != "gauge" || !family.name.ends_with(kCreated)) return false;
    const std::string base = base_of(family);
    return page_.family(base) != nullptr || page_.family(base + "_total") != nullptr;
  }

  int64_t start_of(const MetricFamily& family, const Labels& labels) const {
    std::string base = family.name;
    if (family.type == "counter" && base.ends_with("_total")) base.resize(base.size() - 6);
    const auto found = created_.find({base, labels});
    return found == created_.end() ? origin_.started_unix_ns : found->second;
  }

  std::vector<Series> series_of(const MetricFamily& family) const {
    std::vector<Series> all;
    std::map<Labels, size_t> places;
    for (const Sample& sample : family.samples) {
      const auto [place, is_new] = places.try_emplace(without_bound(sample.labels), all.size());
      if (is_new) all.push_back({.labels = place->first});
      Series& series = all[place->second];
      const std::string_view suffix = std::string_view(sample.name).substr(family.name.size());
      if (suffix == "_bucket") {
        const std::string& bound = sample.labels.at("le");
        series.buckets.emplace_back(bound == "+Inf" ? INFINITY : parse_double(bound).value_or(0),
                                    sample.value);
      } else if (suffix == "_count") {
        series.count = sample.value;
      } else if (suffix == "_sum") {
        series.sum = sample.value;
      } else {
        series.value = sample.value;
      }
    }
    for (Series& series : all) {
      const auto known = exemplars_.find({family.name + "_bucket", series.labels});
      if (known != exemplars_.end()) series.exemplars = known->second;
    }
    return all;
  }

  template <typename Point>
  void begin_point(const MetricFamily& family, const Series& series, Point& point) const {
    for (const auto& [name, value] : series.labels) {
      auto& attribute = *point.add_attributes();
      attribute.set_key(name);
      attribute.mutable_value()->set_string_value(value);
    }
    point.set_time_unix_nano(static_cast<uint64_t>(now_unix_ns_));
    if (family.type == "gauge") return;
    point.set_start_time_unix_nano(static_cast<uint64_t>(start_of(family, series.labels)));
  }

  void encode(const MetricFamily& family) {
    proto::Metric& metric = *out_.add_metrics();
    metric.set_name(family.name);
    metric.set_description(family.help);
    if (family.name.find("_seconds") != std::string::npos) metric.set_unit("s");
    if (family.name.find("_bytes") != std::string::npos) metric.set_unit("By");
    for (const Series& series : series_of(family)) {
      if (family.type == "histogram") {
        add_histogram(family, series, *metric.mutable_histogram());
      } else if (family.type == "summary") {
        auto& point = *metric.mutable_summary()->add_data_points();
        begin_point(family, series, point);
        point.set_count(static_cast<uint64_t>(series.count));
        point.set_sum(series.sum);
      } else if (family.type == "counter") {
        proto::Sum& sum = *metric.mutable_sum();
        sum.set_aggregation_temporality(kCumulative);
        sum.set_is_monotonic(true);
        auto& point = *sum.add_data_points();
        begin_point(family, series, point);
        point.set_as_double(series.value);
      } else {
        auto& point = *metric.mutable_gauge()->add_data_points();
        begin_point(family, series, point);
        point.set_as_double(series.value);
      }
    }
    if (metric.data_case() == proto::Metric::DATA_NOT_SET) out_.mutable_metrics()->RemoveLast();
  }

  void add_histogram(const MetricFamily& family, const Series& series,
                     proto::Histogram& histogram) const {
    histogram.set_aggregation_temporality(kCumulative);
    auto& point = *histogram.add_data_points();
    begin_point(family, series, point);
    point.set_count(static_cast<uint64_t>(series.count));
    point.set_sum(series.sum);
    double before = 0;
    for (const auto& [bound, cumulated] : series.buckets) {
      point.add_bucket_counts(static_cast<uint64_t>(cumulated - before));
      if (std::isfinite(bound)) point.add_explicit_bounds(bound);
      before = cumulated;
    }
    for (const Exemplar* exemplar : series.exemplars) {
      auto& added = *point.add_exemplars();
      added.set_time_unix_nano(static_cast<uint64_t>(exemplar->unix_ns));
      added.set_as_double(exemplar->value);
      const auto& id = exemplar->trace_id.bytes;
      added.set_trace_id(id.data(), id.size());
    }
  }

  const MetricsPage& page_;
  const MetricsOrigin& origin_;
  const int64_t now_unix_ns_;
  proto::ScopeMetrics& out_;
  std::map<Key, int64_t> created_;
  std::map<Key, std::vector<const Exemplar*>> exemplars_;
};

/// OTLP/JSON has ids in hex where protobuf's JSON has base64. Ours are of exemplars.
void ids_in_hex(const proto::ResourceMetrics& group, nlohmann::json& tree) {
  for (int s = 0; s < group.scope_metrics_size(); ++s) {
    for (int m = 0; m < group.scope_metrics(s).metrics_size(); ++m) {
      const proto::Metric& metric = group.scope_metrics(s).metrics(m);
      for (int p = 0; p < metric.histogram().data_points_size(); ++p) {
        const proto::HistogramDataPoint& point = metric.histogram().data_points(p);
        for (int e = 0; e < point.exemplars_size(); ++e) {
          const std::string& id = point.exemplars(e).trace_id();
          tree["scopeMetrics"][s]["metrics"][m]["histogram"]["dataPoints"][p]["exemplars"][e]
              ["traceId"] = to_hex(reinterpret_cast<const uint8_t*>(id.data()), id.size());
        }
      }
    }
  }
}

}  // namespace

std::string encode_otlp_metrics(const MetricsPage& page, const Exemplars& exemplars,
                                const MetricsOrigin& origin, int64_t now_unix_ns) {
  // Resource and scope have the same fields with the same numbers as in a request of traces.
  Request request;
  request.ParseFromString(
      encode_otlp_protobuf({{origin.resource, "", {ScopeSpans{origin.scope, "", {}}}}}));
  PageEncoder(page, exemplars, origin, now_unix_ns,
              *request.mutable_resource_metrics(0)->mutable_scope_metrics(0))
      .encode();
  return request.SerializeAsString();
}

Result<std::string> otlp_metrics_json(std::string_view protobuf) {
  Request request;
  if (!request.ParseFromArray(protobuf.data(), static_cast<int>(protobuf.size()))) {
    return malformed("OTLP metrics: got bytes that are no ExportMetricsServiceRequest");
  }
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_enums_as_ints = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(request, &text, options).ok()) {
    return malformed("OTLP metrics: got a message that cannot be written as JSON");
  }
  nlohmann::json tree = nlohmann::json::parse(text);
  for (int g = 0; g < request.resource_metrics_size(); ++g) {
    ids_in_hex(request.resource_metrics(g), tree["resourceMetrics"][g]);
  }
  return tree.dump();
}

}  // namespace touchstone::telemetry
