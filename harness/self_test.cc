#include "harness/self_test.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "conformance/profile_set.h"
#include "harness/evidence.h"
#include "records/run_folder.h"

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;
using conformance::mutate::Depth;
using conformance::mutate::Good;

/// `profile` is `name`, or extends it.
bool stands_for(const conformance::Profile& profile, const std::string& name) {
  return std::any_of(profile.sources.begin(), profile.sources.end(),
                     [&](const auto& source) { return source.name == name + ".yaml"; });
}

/// The run's profiles, with a wanted one in the place of what it extends; empty when none is
/// wanted.
Result<std::vector<std::string>> profiles_of(const records::RunFolder& run,
                                             const std::vector<std::string>& wanted) {
  std::vector<std::string> names = run.manifest->profiles;
  bool any = wanted.empty();
  for (std::string& name : names) {
    name = profile_of_run(run, name);
    for (const std::string& other : wanted) {
      const auto profile = conformance::load_profile(other);
      if (!profile) return profile.error();
      if (!stands_for(*profile, name)) continue;
      name = other;
      any = true;
      break;
    }
  }
  return any ? names : std::vector<std::string>();
}

Result<std::unique_ptr<Good>> read_good(const records::RunFolder& run,
                                        const std::vector<std::string>& names, Depth depth) {
  auto profiles = conformance::load_profiles(names);
  if (!profiles) return std::move(profiles).error().with_context(run.path);
  auto evidence = evidence_of_run(run, 0);
  if (!evidence) return std::move(evidence).error();
  RETURN_IF_ERROR(read_run_spans(run, *evidence, [&](const telemetry::TraceBatch& batch) -> Status {
    evidence->spans.push_back(batch);
    return {};
  }));
  return std::make_unique<Good>(fs::path(run.path).filename().string(), std::move(*evidence),
                                std::move(*profiles), depth);
}

}  // namespace

Result<std::vector<std::unique_ptr<Good>>> good_telemetry(const std::string& folder,
                                                          const std::vector<std::string>& profiles,
                                                          Depth depth) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (fs::exists(entry.path() / records::run_files::kManifest)) {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::unique_ptr<Good>> goods;
  for (const std::string& path : paths) {
    const auto run = records::open_run_folder(path);
    if (!run) return run.error();
    const auto names = profiles_of(*run, profiles);
    if (!names) return names.error();
    if (names->empty()) continue;
    auto good = read_good(*run, *names, depth);
    if (!good) return std::move(good).error();
    goods.push_back(*std::move(good));
  }
  if (goods.empty()) {
    return not_found(folder + ": got no run folder" +
                         (profiles.empty() ? "" : " that is judged by " + join(profiles, " or ")) +
                         ", expected good telemetry",
                     "the self-test damages the run folders that come with the program");
  }
  return goods;
}

}  // namespace touchstone::harness
