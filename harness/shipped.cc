#include "harness/shipped.h"

#include <filesystem>
#include <system_error>

namespace touchstone::harness {

namespace fs = std::filesystem;

std::string program_path() {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  return error ? std::string() : path.string();
}

Result<std::string> shipped_path(const std::string& program, const std::string& relative) {
  std::error_code error;
  for (fs::path folder = fs::path(program).parent_path(); !folder.empty();
       folder = folder.parent_path()) {
    for (const fs::path& base : {folder, folder / "share" / "touchstone"}) {
      if (fs::exists(base / relative, error)) return (base / relative).string();
    }
    if (folder == folder.root_path()) break;
  }
  return not_found(relative + ": not found in any folder above " + program,
                   "run the program from its source tree or its installation, or give the path");
}

}  // namespace touchstone::harness
