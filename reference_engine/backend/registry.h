// The backends a program contains: a table that main builds. Thread-compatible.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/backend.h"

namespace touchstone::backend {

struct BackendOptions {
  std::string dtype = "auto";  ///< "auto": as the folder was made, or one of Capabilities::dtypes
  /// "auto", "safetensors", or "dummy": weights from `seed`, no files but config.json.
  std::string load_format = "auto";
  uint64_t seed = 0;
  int32_t adapter_slots = 0;     ///< at most Capabilities::max_adapters; 0: no adapters
  int32_t max_adapter_rank = 0;  ///< of an adapter in a slot
  /// Of one backend alone ("kernels", "threads"); a name that it does not know is an error.
  std::map<std::string, std::string> settings = {};
};

/// A kind of backend.
class BackendFactory {
 public:
  virtual ~BackendFactory() = default;
  virtual std::string name() const = 0;  ///< what --device takes: "cpu"
  /// Whether this machine can run it. ERRORS: kUnavailable with the reason.
  virtual Status probe() const = 0;
  /// REQUIRES: probe() succeeded.
  virtual Result<Capabilities> capabilities() const = 0;
  /// Loads the Hugging Face folder `model`. REQUIRES: probe() succeeded.
  /// ERRORS: kInvalidArgument naming the option, kNotFound, kMalformed, kUnsupported, kUnavailable.
  virtual Result<std::unique_ptr<Backend>> create(const std::string& model,
                                                  const BackendOptions& options) const = 0;
};

class Registry final {
 public:
  /// Best first: choose("auto") takes the first that this machine can run.
  void add(std::unique_ptr<BackendFactory> factory) { factories_.push_back(std::move(factory)); }
  /// Before all others.
  void add_first(std::unique_ptr<BackendFactory> factory) {
    factories_.insert(factories_.begin(), std::move(factory));
  }
  std::vector<std::string> names() const;
  /// `name`: "auto" or one of names(). `passed_over` gets a line for each better backend that
  /// cannot run here. ERRORS: kInvalidArgument for another name, kUnavailable with each backend's
  /// reason. The pointer lives as long as the registry.
  Result<const BackendFactory*> choose(const std::string& name,
                                       std::vector<std::string>* passed_over = nullptr) const;

 private:
  std::vector<std::unique_ptr<BackendFactory>> factories_;
};

/// The backends linked into this program: backends.cc, one row each.
Registry linked_backends();

}  // namespace touchstone::backend
