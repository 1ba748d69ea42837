#include "simulator/steptime/roofline.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"

namespace touchstone::simulator {
namespace {

// What serving reaches of the datasheet's rates. Memory: AIConfigurator's empirical factor.
// Arithmetic: BLIS's for prompts (inference-sim, hardware_config.json, H100).
constexpr double kMemoryShare = 0.8;
constexpr double kArithmeticShare = 0.45;
// Host and launches: the coefficients of BLIS's trained-physics model for vLLM.
constexpr double kStepNs = 126e3;
constexpr double kLayerNs = 32e3;
constexpr double kRequestNs = 4.4e3;
// Of one exchange between cards: AIConfigurator's p2p_latency.
constexpr double kLinkNs = 10e3;
constexpr double kNsPerS = 1e9;
constexpr double kKvBytes = 2;  // of a number in the cache: bfloat16

class RooflineShape final : public StepShape {
 public:
  explicit RooflineShape(const RooflineOptions& options) : options_(options) {}

  StepParts parts_ns(const StepFeatures& f) const override {
    const double whole = time_ns(f);
    const StepFeatures decode{.decode_requests = f.decode_requests,
                              .sampled_requests = std::min(f.sampled_requests, f.decode_requests),
                              .context_tokens = f.context_tokens};
    const double without = std::min(whole, time_ns(decode));
    return {.decode_ns = without, .prefill_ns = whole - without};
  }
  std::string describe() const override {
    return "roofline of " + options_.model.name + " on " +
           std::to_string(options_.tensor_parallel) + " x " + options_.card.name;
  }

 private:
  double time_ns(const StepFeatures& f) const {
    const ModelShape& m = options_.model;
    const auto cards = static_cast<double>(options_.tensor_parallel);
    const auto layers = static_cast<double>(m.layers);
    const auto tokens = static_cast<double>(f.prefill_tokens + f.decode_requests);
    const auto sampled = static_cast<double>(f.sampled_requests);
    const double memory = kMemoryShare * options_.card.memory_bytes_per_s * cards / kNsPerS;
    const double flops =
        kArithmeticShare * cards / kNsPerS *
        (options_.weight_bytes == 1 && options_.card.flops_8bit > 0 ? options_.card.flops_8bit
                                                                    : options_.card.flops_16bit);
    const auto bytes = static_cast<double>(options_.weight_bytes);
    const auto linear = [&](double parameters, double rows) {
      return rows > 0 ? std::max(parameters * bytes / memory, 2 * parameters * rows / flops) : 0.0;
    };
    double ns = kStepNs + kLayerNs * layers +
                kRequestNs * static_cast<double>(f.decode_requests + f.prefill_requests);
    ns += linear(m.layer_parameters(), tokens) + linear(m.head_parameters(), sampled);
    const double kv = 2 * static_cast<double>(m.kv_heads * m.head_dim) * kKvBytes * layers;
    ns += static_cast<double>(f.context_tokens) * kv / memory;
    const double pair_flops = 4 * static_cast<double>(m.heads * m.head_dim) * layers;
    ns += static_cast<double>(f.prefill_attention) * pair_flops / flops;
    if (options_.tensor_parallel > 1) {
      const double exchanged = tokens * static_cast<double>(m.hidden) * kKvBytes;
      ns += 2 * layers *
            (kLinkNs +
             2 * (cards - 1) / cards * exchanged / (options_.card.link_bytes_per_s / kNsPerS));
    }
    return ns;
  }

  const RooflineOptions options_;
};

}  // namespace

std::shared_ptr<const StepShape> make_roofline_shape(const RooflineOptions& options) {
  return std::make_shared<RooflineShape>(options);
}

Result<RooflineOptions> parse_roofline(std::string_view text) {
  const std::vector<std::string> parts = split(text, ',');
  if (parts.size() < 2 || parts.size() > 4) {
    return invalid_argument("steptime: got roofline:" + std::string(text) +
                                ", expected roofline:CARD,CONFIG.json[,bfloat16|fp8[,TP]]",
                            "for example roofline:h100_sxm,config.json");
  }
  RooflineOptions options;
  auto card = find_card(parts[0]);
  if (!card) return std::move(card).error().with_context("steptime");
  options.card = *card;
  auto model = read_model_shape(parts[1]);
  if (!model) return std::move(model).error().with_context("steptime");
  options.model = std::move(*model);
  if (parts.size() > 2) {
    if (parts[2] != "bfloat16" && parts[2] != "float16" && parts[2] != "fp8") {
      return invalid_argument("steptime: roofline: got " + quote(parts[2]) +
                              ", expected bfloat16, float16 or fp8");
    }
    options.weight_bytes = parts[2] == "fp8" ? 1 : 2;
  }
  if (parts.size() > 3) {
    const auto tp = parse_int(parts[3]);
    if (!tp || *tp < 1 || *tp > 64) {
      return invalid_argument("steptime: roofline: got " + quote(parts[3]) +
                              " cards, expected 1 to 64");
    }
    options.tensor_parallel = *tp;
  }
  return options;
}

}  // namespace touchstone::simulator
