#include "reference_engine/backend/plugin_search.h"

#include <filesystem>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "reference_engine/backend/plugin_backend.h"

namespace touchstone::backend {
namespace {

class SearchedPlugin final : public BackendFactory {
 public:
  SearchedPlugin(std::string name, std::string file, std::vector<std::string> folders)
      : name_(std::move(name)), file_(std::move(file)), folders_(std::move(folders)) {}

  std::string name() const override { return name_; }
  Status probe() const override {
    if (loaded_ == nullptr) {
      auto loaded = load();
      if (!loaded) return std::move(loaded).error();
      loaded_ = *std::move(loaded);
    }
    return loaded_->probe();
  }
  Result<Capabilities> capabilities() const override { return factory().capabilities(); }
  Result<std::unique_ptr<Backend>> create(const std::string& model,
                                          const BackendOptions& options) const override {
    return factory().create(model, options);
  }

 private:
  const BackendFactory& factory() const {
    BASE_CHECK(loaded_ != nullptr, "probe() comes first");
    return *loaded_;
  }

  Result<std::unique_ptr<BackendFactory>> load() const {
    std::error_code ignored;
    for (const std::string& folder : folders_) {
      const std::string path = folder + "/" + file_;
      if (std::filesystem::exists(path, ignored)) return load_plugin(path);
    }
    return unavailable(file_ + ": not found in " + join(folders_, ", "),
                       "scripts/quickstart --cuda builds it; TOUCHSTONE_PLUGIN_PATH names other "
                       "folders");
  }

  std::string name_;
  std::string file_;
  std::vector<std::string> folders_;
  mutable std::unique_ptr<BackendFactory> loaded_;
};

}  // namespace

std::vector<std::string> plugin_folders(const Environment& environment) {
  std::vector<std::string> folders;
  if (const auto path = lookup(environment, "TOUCHSTONE_PLUGIN_PATH")) {
    for (const std::string& folder : split(*path, ':')) {
      if (!folder.empty()) folders.push_back(folder);
    }
  }
  std::error_code failed;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (!failed) {
    folders.push_back(program.parent_path().string());
    folders.push_back((program.parent_path().parent_path() / "lib/touchstone").string());
  }
  return folders;
}

std::unique_ptr<BackendFactory> searched_plugin(std::string name, std::string file,
                                                std::vector<std::string> folders) {
  return std::make_unique<SearchedPlugin>(std::move(name), std::move(file), std::move(folders));
}

}  // namespace touchstone::backend
