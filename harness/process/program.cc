#include "harness/process/program.h"

#include <unistd.h>

#include <filesystem>

#include "base/environment.h"
#include "base/text.h"

namespace touchstone::harness {
namespace {

bool is_program(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

std::optional<std::string> find_program(const std::string& name, const std::string& folder) {
  if (name.find('/') != std::string::npos) {
    const std::filesystem::path path = std::filesystem::path(folder) / name;
    return is_program(path) ? std::optional(path.string()) : std::nullopt;
  }
  for (const std::string& place :
       split(lookup(read_environment(environ), "PATH").value_or(""), ':')) {
    const std::filesystem::path path = std::filesystem::path(place) / name;
    if (!place.empty() && is_program(path)) return path.string();
  }
  return std::nullopt;
}

}  // namespace touchstone::harness
