// What choosing a token costs, beside choosing it as the textbook has it: the C library's
// exponential for every token and everything sorted.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "reference_engine/sampling/logprobs.h"
#include "reference_engine/sampling/sampler.h"

namespace touchstone::sampling {
namespace {

/// As a language model's: a few likely tokens, many unlikely ones.
std::vector<float> logits_of(int64_t vocabulary) {
  RandomStream random(1, "sampling benchmark");
  std::vector<float> logits;
  for (int64_t i = 0; i < vocabulary; ++i) {
    logits.push_back(static_cast<float>(3 * random.normal()));
  }
  return logits;
}

int32_t textbook_top_p(const std::vector<float>& logits, double top_p, double u) {
  const float top = *std::max_element(logits.begin(), logits.end());
  std::vector<double> weights;
  for (const float x : logits) weights.push_back(std::exp(static_cast<double>(x - top)));
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto weight = [&](int32_t token) { return weights[static_cast<size_t>(token)]; };
  std::sort(order.begin(), order.end(),
            [&](int32_t a, int32_t b) { return weight(a) > weight(b); });
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double mass = 0;
  size_t kept = 0;
  while (kept < order.size() && mass < top_p * total) mass += weight(order[kept++]);
  double left = u * mass;
  for (size_t i = 0; i < kept; ++i) {
    left -= weight(order[i]);
    if (left < 0) return order[i];
  }
  return order[kept - 1];
}

void BM_TextbookTopP(benchmark::State& state) {
  const std::vector<float> logits = logits_of(state.range(0));
  RandomStream random(2, "draws");
  for (auto _ : state) {
    benchmark::DoNotOptimize(textbook_top_p(logits, 0.95, random.uniform()));
  }
}

void run(benchmark::State& state, Params params) {
  const std::vector<float> logits = logits_of(state.range(0));
  Scratch scratch;
  FlatLogprobs flat;
  flat.resize(logprob_row_size(params.logprobs.value_or(0), static_cast<int32_t>(logits.size())));
  for (auto _ : state) {
    ++params.seed;
    const int32_t token = sample(logits, params, {}, scratch);
    benchmark::DoNotOptimize(token);
    if (params.logprobs) {
      write_logprobs(logits, token, flat.row(0, static_cast<int64_t>(flat.tokens.size())));
    }
  }
}

Params params_of(double temperature, double top_p, int32_t top_k) {
  Params params;
  params.temperature = temperature;
  params.top_p = top_p;
  params.top_k = top_k;
  return params;
}

Params with_logprobs() {
  Params params = params_of(0, 1, 0);
  params.logprobs = 5;
  return params;
}

void vocabularies(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("vocabulary")->Arg(4096)->Arg(32'000)->Arg(128'256);
}

BENCHMARK(BM_TextbookTopP)->Apply(vocabularies);
BENCHMARK_CAPTURE(run, greedy, params_of(0, 1, 0))->Apply(vocabularies);
BENCHMARK_CAPTURE(run, greedy_logprobs_5, with_logprobs())->Apply(vocabularies);
BENCHMARK_CAPTURE(run, temperature, params_of(1, 1, 0))->Apply(vocabularies);
BENCHMARK_CAPTURE(run, top_p_95, params_of(1, 0.95, 0))->Apply(vocabularies);
BENCHMARK_CAPTURE(run, top_k_50, params_of(1, 1, 50))->Apply(vocabularies);
BENCHMARK_CAPTURE(run, top_k_50_top_p_95, params_of(1, 0.95, 50))->Apply(vocabularies);

}  // namespace
}  // namespace touchstone::sampling

BENCHMARK_MAIN();
