// What the API knows of LoRA adapters: each answers under a name of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace touchstone::server::api {

/// Immutable.
struct ServedAdapter {
  std::string name;
  std::string path;    ///< the folder, as it was given
  std::string parent;  ///< the served name of the base model
  int32_t id = 0;      ///< >= 1; another one for whatever is loaded later, under any name
  std::string sha256;  ///< of its files
};

/// The adapters that requests may name now. Thread-safe.
class AdapterDirectory {
 public:
  virtual ~AdapterDirectory() = default;
  /// Null: none has this name.
  virtual std::shared_ptr<const ServedAdapter> find(std::string_view name) const = 0;
  /// In the order in which they were loaded first.
  virtual std::vector<std::shared_ptr<const ServedAdapter>> list() const = 0;
};

}  // namespace touchstone::server::api
