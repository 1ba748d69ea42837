#include "simulator/calibrate/operations.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "base/text.h"
#include "simulator/calibrate/operation_tables.h"
#include "simulator/steptime/model_shape.h"

namespace touchstone::simulator {
namespace {

// What a step of vLLM takes beside its operations: coefficients of BLIS's trained-physics model
// (github.com/inference-sim/inference-sim), learned from runs on H100, A100 and L40S.
constexpr double kStepNs = 126e3;
constexpr double kLayerNs = 32e3;
constexpr double kRequestNs = 4.4e3;
// Attention of unequal contexts: mean over the decode rows of LLMServingSim's skew_fit.csv,
// measured on an RTX PRO 6000 (github.com/casys-kaist/LLMServingSim, profiler/perf).
constexpr double kSkew = 0.045;
constexpr double kBytes = 2;        // of an activation
constexpr double kLogitBytes = 4;   // logits are sampled as 32-bit numbers
constexpr double kLogitPasses = 3;  // cast, softmax, choice

/// The times of what is done for all tokens of a step together, on one of `cards` cards.
class Composer final {
 public:
  Composer(const OperationTables& tables, const ModelShape& model, int64_t cards)
      : t_(tables), m_(model), cards_(static_cast<double>(cards)) {}

  /// Linear layers, norms, rotation, activation, cache writes and exchanges of all layers.
  double dense_ns(double tokens) const {
    const auto hidden = static_cast<double>(m_.hidden);
    const double inner = static_cast<double>(m_.intermediate) / cards_;
    const double qkv = static_cast<double>(m_.qkv()) / cards_;
    const double heads = static_cast<double>(m_.heads * m_.head_dim) / cards_;
    const double kv = static_cast<double>(2 * m_.kv_heads * m_.head_dim) / cards_;
    double ns = t_.gemm.at(tokens, qkv, hidden) + t_.gemm.at(tokens, hidden, heads) +
                t_.gemm.at(tokens, 2 * inner, hidden) + t_.gemm.at(tokens, hidden, inner);
    ns += 2 * moved_ns(4 * hidden * tokens);      // residual and norm: two read, two written
    ns += moved_ns(2 * (qkv - kv / 2) * tokens);  // rotation of queries and keys
    ns += moved_ns(2 * kv * tokens);              // into the cache
    ns += moved_ns(3 * inner * tokens);           // gate times up
    ns += t_.context_attention.at(0, 1);          // launches of attention; its work is apart
    if (cards_ > 1) ns += 2 * exchange_ns(hidden * tokens * kBytes);
    return (ns + kLayerNs) * static_cast<double>(m_.layers) + moved_ns(2 * hidden * tokens);
  }

  /// Head and sampling.
  double head_ns(double sequences) const {
    const double vocabulary = static_cast<double>(m_.vocabulary) / cards_;
    return t_.gemm.at(sequences, vocabulary, static_cast<double>(m_.hidden)) +
           t_.operation_ns * kLogitPasses +
           kLogitPasses * sequences * static_cast<double>(m_.vocabulary) * kLogitBytes /
               t_.memory_bytes_per_ns;
  }

  double decode_attention_ns(double sequences, double context) const {
    const double ns = t_.generation_attention.at(sequences, context);
    return std::max(0.0, ns - t_.context_attention.at(0, 1)) * static_cast<double>(m_.layers);
  }

  /// `chunk` new tokens after `before`: what the whole prompt takes, less its first part.
  double prefill_attention_ns(double chunk, double before) const {
    const double launch = t_.context_attention.at(0, 1);
    const double alone = t_.context_attention.at(0, chunk) - launch;
    const double rest =
        before > 0 ? t_.context_attention.at(0, before + chunk) - t_.context_attention.at(0, before)
                   : 0.0;
    return std::max({0.0, alone, rest}) * static_cast<double>(m_.layers);
  }

 private:
  double moved_ns(double elements) const {
    return elements * kBytes / t_.memory_bytes_per_ns;  // launches: kLayerNs
  }
  double exchange_ns(double bytes) const {
    return t_.link_ns + 2 * (cards_ - 1) / cards_ * bytes / t_.link_bytes_per_ns;
  }

  const OperationTables& t_;
  const ModelShape& m_;
  const double cards_;
};

Result<Grid> grid_of(std::vector<double> rows, std::vector<double> columns,
                     const std::function<double(double, double)>& time_ns) {
  std::vector<double> values;
  for (const double row : rows) {
    for (const double column : columns) values.push_back(time_ns(row, column));
  }
  return Grid::make(std::move(rows), std::move(columns), std::move(values));
}

Result<StepTable> compose(const OperationTables& tables, const ModelShape& model, int64_t cards) {
  const Composer composer(tables, model, cards);
  const std::vector<double>& tokens = tables.gemm.tokens();
  StepTable table{.step_ns = kStepNs, .request_ns = kRequestNs, .skew = kSkew};
  const auto take = [](Result<Grid> made, Grid& into) -> Status {
    if (!made) return std::move(made).error();
    into = std::move(*made);
    return {};
  };
  RETURN_IF_ERROR(take(grid_of({0}, tokens, [&](double, double n) { return composer.dense_ns(n); }),
                       table.dense));
  RETURN_IF_ERROR(take(grid_of({0}, tokens, [&](double, double n) { return composer.head_ns(n); }),
                       table.head));
  const Grid& decode = tables.generation_attention;
  RETURN_IF_ERROR(take(
      grid_of(decode.rows(), decode.columns(),
              [&](double n, double context) { return composer.decode_attention_ns(n, context); }),
      table.decode_attention));
  std::vector<double> before = tables.context_attention.columns();
  before.insert(before.begin(), 0.0);
  RETURN_IF_ERROR(take(grid_of(tables.context_attention.columns(), std::move(before),
                               [&](double chunk, double earlier) {
                                 return composer.prefill_attention_ns(chunk, earlier);
                               }),
                       table.prefill_attention));
  return table;
}

}  // namespace

Result<ModelFile> compose_operations(const OperationsOptions& options) {
  const auto model = read_model_shape(options.model_config);
  if (!model) return model.error();
  const int64_t cards = options.tensor_parallel;
  if (cards < 1 || model->heads % cards != 0 || model->intermediate % cards != 0) {
    return invalid_argument("--tp: got " + std::to_string(cards) + ", expected a divisor of " +
                            std::to_string(model->heads) + " heads");
  }
  const std::string dtype =
      options.dtype == "bfloat16" || options.dtype == "float16" ? "bf16" : options.dtype;
  const auto tables =
      read_operations(options.folder, options.system, dtype, model->heads / cards,
                      std::max<int64_t>(1, model->kv_heads / cards), model->head_dim);
  if (!tables) return tables.error();
  auto table = compose(*tables, *model, cards);
  if (!table) return std::move(table).error();
  const std::string name = model->name.empty() ? options.model_config : model->name;
  table->what = "measured operations of " + name + ", " + options.dtype + ", on " +
                std::to_string(cards) + " x " + options.system;
  ModelFile file;
  file.validity = validity_of(*table);
  file.shape = std::move(*table);
  file.origins.push_back(
      {.name = options.folder + "/" + options.system,
       .engine = "operations under vllm",
       .model = name + ", " + options.dtype + ", tensor parallel " + std::to_string(cards),
       .hardware = options.system,
       .role = "operations",
       .digests = tables->digests});
  file.notes = {
      "matrix products and attention are measured; norms, rotation, activation, cache writes and "
      "sampling are bytes at the card's sustained bandwidth; launches and host take " +
          format_fixed(kStepNs / 1000, 0) + " us a step, " + format_fixed(kLayerNs / 1000, 0) +
          " us a layer and " + format_fixed(kRequestNs / 1000, 1) +
          " us a request (BLIS, from other cards)",
      "no run was used: calibrate --base refines it with one"};
  return file;
}

}  // namespace touchstone::simulator
