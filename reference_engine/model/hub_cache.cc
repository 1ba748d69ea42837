#include "reference_engine/model/hub_cache.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>

#include "base/files.h"
#include "base/text.h"

namespace touchstone::model {
namespace {

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

/// "organization/model", or one of the few old names without an organization.
bool is_repository_name(const std::string& name) {
  const auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' ||
           c == '/';
  };
  return !name.empty() && name[0] != '/' && name[0] != '.' && name.back() != '/' &&
         std::count(name.begin(), name.end(), '/') <= 1 && std::ranges::all_of(name, allowed);
}

std::string cache_folder(const HubLookup& lookup) {
  if (!lookup.download_dir.empty()) return lookup.download_dir;
  for (const char* variable : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const auto folder = touchstone::lookup(lookup.environment, variable)) return *folder;
  }
  if (const auto home = touchstone::lookup(lookup.environment, "HF_HOME")) return *home + "/hub";
  if (const auto cache = touchstone::lookup(lookup.environment, "XDG_CACHE_HOME")) {
    return *cache + "/huggingface/hub";
  }
  return touchstone::lookup(lookup.environment, "HOME").value_or("") + "/.cache/huggingface/hub";
}

/// The commit that a branch or tag stands for in the cache, else the revision itself.
std::string commit_of(const std::string& repository, const std::string& revision) {
  const auto reference = read_file(repository + "/refs/" + revision);
  return reference ? std::string(trim(*reference)) : revision;
}

Error not_in_cache(const HubLookup& lookup, const std::string& problem) {
  const bool other = lookup.revision != "main";
  return not_found("model " + quote(lookup.name) + ": no such folder, and " + problem,
                   "models are not downloaded here: `hf download " + lookup.name +
                       (other ? " --revision " + lookup.revision : "") +
                       "` fills the cache; HF_HOME, HF_HUB_CACHE and --download-dir say where it "
                       "is; or give a folder with config.json, weights and tokenizer");
}

}  // namespace

Result<std::string> find_model(const HubLookup& lookup) {
  if (is_folder(lookup.name)) return lookup.name;
  if (!is_repository_name(lookup.name)) {
    return not_found(
        lookup.name + ": no such model folder",
        "give a folder with config.json, weights and tokenizer, or the name of a model "
        "of the Hugging Face hub that lies in the local cache");
  }
  std::string entry = "models--" + lookup.name;
  if (const size_t slash = entry.find('/'); slash != std::string::npos) {
    entry.replace(slash, 1, "--");
  }
  const std::string cache = cache_folder(lookup);
  const std::string repository = cache + "/" + entry;
  if (!is_folder(repository)) return not_in_cache(lookup, "not in the hub's cache " + cache);
  const std::string snapshot = repository + "/snapshots/" + commit_of(repository, lookup.revision);
  if (!is_folder(snapshot)) {
    return not_in_cache(lookup, "the hub's cache has no revision " + quote(lookup.revision) +
                                    " of it: " + snapshot);
  }
  std::error_code ignored;
  if (!std::filesystem::exists(snapshot + "/config.json", ignored)) {
    return not_in_cache(lookup, "its snapshot has no config.json: " + snapshot);
  }
  return snapshot;
}

}  // namespace touchstone::model
