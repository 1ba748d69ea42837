// Tokenizing in MB/s of UTF-8, beside cutting into words alone (PCRE2 with JIT), which bounds it,
// and the streaming detokenizer per token.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/files.h"
#include "reference_engine/tokenizer/detokenizer.h"
#include "reference_engine/tokenizer/pre_tokenizer.h"
#include "reference_engine/tokenizer/tokenizer.h"

namespace touchstone::tokenizer {
namespace {

using nlohmann::json;

const std::string kFixtures = TOUCHSTONE_SOURCE_DIR "/fixtures/";

std::unique_ptr<Tokenizer> load_tokenizer() {
  auto loaded = Tokenizer::load(kFixtures + "models/touchstone-tiny");
  BASE_CHECK(loaded.has_value(), loaded.error().message);
  return std::move(*loaded);
}

json read_json(const std::string& path) {
  const auto text = read_file(kFixtures + path);
  BASE_CHECK(text.has_value(), text.error().message);
  return json::parse(*text);
}

// English prose, or Unicode of many scripts, from the golden texts.
enum class Kind { kEnglish, kMixed };
std::vector<std::string> texts(Kind kind) {
  std::vector<std::string> result;
  const Status read = for_each_line(
      kFixtures + "models/goldens/tokenizer_touchstone-tiny.jsonl",
      [&](int64_t, std::string_view line) -> Status {
        auto text = json::parse(line)["text"].get<std::string>();
        const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; });
        if (kind == Kind::kMixed ? !ascii : ascii && text.size() > 300)
          result.push_back(std::move(text));
        return {};
      });
  BASE_CHECK(read.has_value(), read.error().message);
  BASE_CHECK(!result.empty());
  return result;
}

size_t total_bytes(const std::vector<std::string>& all) {
  size_t total = 0;
  for (const auto& text : all) total += text.size();
  return total;
}

void encode(benchmark::State& state, Kind kind) {
  const auto tokenizer = load_tokenizer();
  const auto all = texts(kind);
  for (auto _ : state) {
    for (const auto& text : all) benchmark::DoNotOptimize(tokenizer->encode(text, true));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(total_bytes(all)));
}

void cut_into_words(benchmark::State& state, Kind kind) {
  const json tree = read_json("models/touchstone-tiny/tokenizer.json");
  const auto pre_tokenizer = PreTokenizer::parse(Part(tree["pre_tokenizer"], "pre_tokenizer"));
  BASE_CHECK(pre_tokenizer.has_value());
  const auto all = texts(kind);
  size_t words = 0;
  for (auto _ : state) {
    for (const auto& text : all) {
      pre_tokenizer->split(text, PreTokenizer::Place::kBeginning,
                           [&](std::string_view) { ++words; });
    }
  }
  benchmark::DoNotOptimize(words);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(total_bytes(all)));
}

void detokenize(benchmark::State& state) {
  const auto tokenizer = load_tokenizer();
  const auto ids = tokenizer->encode(texts(Kind::kEnglish).front(), false);
  for (auto _ : state) {
    Detokenizer detokenizer(*tokenizer, {.stop = {"never said", "\n\nUser:"}});
    for (const int32_t id : ids) {
      benchmark::DoNotOptimize(detokenizer.add(id));
      benchmark::DoNotOptimize(detokenizer.take_delta());
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(ids.size()));
}

void load(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(load_tokenizer());
}

BENCHMARK_CAPTURE(encode, english, Kind::kEnglish);
BENCHMARK_CAPTURE(encode, mixed, Kind::kMixed);
BENCHMARK_CAPTURE(cut_into_words, english, Kind::kEnglish);
BENCHMARK_CAPTURE(cut_into_words, mixed, Kind::kMixed);
BENCHMARK(detokenize);
BENCHMARK(load)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace touchstone::tokenizer

BENCHMARK_MAIN();
