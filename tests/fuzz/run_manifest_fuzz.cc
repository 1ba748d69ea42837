// Manifests: any text is a run folder's manifest or an error, and neither looks outside the folder.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/files.h"
#include "records/run_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace touchstone;
  static const auto kDirectory = TemporaryDirectory::make("manifest-fuzz");
  BASE_CHECK(kDirectory.has_value());
  const std::string path = kDirectory->path() + "/" + records::run_files::kManifest;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  BASE_CHECK(write_file_atomic(path, text).has_value(), path);
  const auto run = records::open_run_folder(kDirectory->path());
  if (!run) return 0;
  const auto altered = records::altered_files(*run);
  BASE_CHECK(altered.has_value() && altered->size() == run->manifest->files.size());
  return 0;
}
