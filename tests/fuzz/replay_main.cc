// Runs a fuzz target without a fuzzer: every seed file, every truncation step of it, and a fixed
// number of seeded byte mutations. Exits 1 when there is no seed.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutationsPerSeed = 200;
constexpr size_t kTruncationsPerSeed = 100;

void run(const std::string& input) {
  // A buffer of exactly this size, so that a sanitizer sees a read past the end.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  (void)LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

std::string mutate(std::string input, touchstone::RandomStream& random) {
  const uint64_t edits = 1 + random.below(4);
  for (uint64_t i = 0; i < edits && !input.empty(); ++i) {
    const size_t at = random.below(input.size());
    switch (random.below(4)) {
      case 0:
        input[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        input.erase(at, 1 + random.below(8));
        break;
      case 2:
        input.insert(at, input.substr(random.below(input.size()), 1 + random.below(16)));
        break;
      default:
        input[at] = static_cast<char>(input[at] ^ (1 << random.below(8)));
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || !std::filesystem::is_directory(argv[1])) {
    std::fprintf(stderr, "usage: %s FOLDER_OF_SEEDS\n", argv[0]);
    return 1;
  }
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  int inputs = 0;
  for (const std::string& path : paths) {
    const auto content = touchstone::read_file(path);
    if (!content) continue;
    touchstone::RandomStream random(1, std::filesystem::path(path).filename().string());
    const size_t step = std::max<size_t>(1, content->size() / kTruncationsPerSeed);
    for (size_t size = 0; size < content->size(); size += step, ++inputs) {
      run(content->substr(0, size));
    }
    run(*content);
    for (int i = 0; i < kMutationsPerSeed; ++i, ++inputs) run(mutate(*content, random));
  }
  std::printf("%zu seeds, %d inputs\n", paths.size(), inputs);
  return paths.empty() ? 1 : 0;
}
