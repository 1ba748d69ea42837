#include "records/run_folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/files.h"
#include "base/sha256.h"
#include "base/text.h"
#include "records/field_table.h"

namespace touchstone::records {

template <typename Visitor, OneOf<RunFileDigest> Struct>
void visit_fields(Visitor& visit, Struct& file) {
  visit.required("name", file.name);
  visit.required("sha256", file.sha256);
  visit.required("bytes", file.bytes);
}

template <typename Visitor, OneOf<RunFault> Struct>
void visit_fields(Visitor& visit, Struct& fault) {
  visit.required("fault", fault.text);
  visit.always("applied", fault.applied);
  visit.optional("problem", fault.problem);
}

template <typename Visitor, OneOf<RunDeath> Struct>
void visit_fields(Visitor& visit, Struct& death) {
  visit.required("part", death.part);
  visit.always("status", death.status);
  visit.always("at_ns", death.at_ns);
}

template <typename Visitor, OneOf<RunMissing> Struct>
void visit_fields(Visitor& visit, Struct& missing) {
  visit.required("file", missing.file);
  visit.always("reason", missing.reason);
}

template <typename Visitor, OneOf<RunSample> Struct>
void visit_fields(Visitor& visit, Struct& sample) {
  visit.always("title", sample.title);
  visit.always("prompt", sample.prompt);
  visit.always("completion", sample.completion);
}

template <typename Visitor, OneOf<RunManifest> Struct>
void visit_fields(Visitor& visit, Struct& run) {
  visit.version("run", run.schema, kRunSchemaVersion);
  visit.always("verb", run.verb);
  visit.always("name", run.name);
  visit.optional("suite", run.suite);
  visit.optional("profiles", run.profiles);
  visit.optional("seed", run.seed);
  visit.always("complete", run.complete);
  visit.always("versions", run.versions);
  visit.always("digests", run.digests);
  visit.always("notes", run.notes);
  visit.always("faults", run.faults);
  visit.always("deaths", run.deaths);
  visit.always("missing", run.missing);
  visit.optional("load_start_unix_ns", run.load_start_unix_ns);
  visit.optional("collector_drained", run.collector_drained);
  visit.always("samples", run.samples);
  visit.always("files", run.files);
}

void RunManifest::miss(const std::string& file, const std::string& reason) {
  missing.push_back({file, reason});
  notes.push_back(reason);
}

namespace {

namespace fs = std::filesystem;

constexpr char kAuditHint[] = "its spans can still be judged with `touchstone audit`";

/// Every file but the manifest and the marker, by name.
Result<std::vector<std::string>> files_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(folder, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().lexically_relative(folder).string();
    if (name == run_files::kManifest || name == run_files::kMarker) continue;
    if (entry->is_regular_file(error)) names.push_back(name);
  }
  if (error) return io_error(folder + ": cannot list: " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

Status write_manifest(const std::string& folder, const RunManifest& manifest) {
  const std::string text =
      fields_to_json(manifest).dump(1, ' ', false, nlohmann::json::error_handler_t::replace);
  return write_file_atomic(folder + "/" + run_files::kManifest, text + "\n");
}

/// Removes what a former run left, but for the marker that is locked.
Status clear(const std::string& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename() == run_files::kMarker) continue;
    fs::remove_all(entry.path(), error);
    if (error) return io_error(entry.path().string() + ": cannot remove: " + error.message());
  }
  if (error) return io_error(folder + ": cannot clear: " + error.message());
  return {};
}

Error busy(const std::string& folder) {
  return unavailable(folder + ": another run is being written into this folder",
                     "wait for it, or choose another folder");
}

}  // namespace

Result<RunFileDigest> file_digest(const std::string& path) {
  auto sha256 = file_sha256_hex(path);
  if (!sha256) return std::move(sha256).error();
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (error) return io_error(path + ": cannot ask its size: " + error.message());
  return RunFileDigest{path, *std::move(sha256), static_cast<int64_t>(bytes)};
}

std::string file_of_subject(const std::string& name, const std::string& subject) {
  if (subject.empty()) return name;
  const size_t dot = name.find('.');
  return name.substr(0, dot) + "." + subject + name.substr(dot);
}

Result<std::unique_ptr<RunFolderWriter>> RunFolderWriter::create(const std::string& folder,
                                                                 Former former) {
  if (trim(folder).empty()) {
    return invalid_argument("run folder: got an empty path, expected a folder");
  }
  std::error_code error;
  const std::string path = fs::absolute(folder, error).lexically_normal().string();
  const std::string marker = path + "/" + run_files::kMarker;
  if (fs::exists(path, error) && !fs::is_directory(path, error)) {
    return invalid_argument(path + ": is no folder", "choose another folder");
  }
  const bool ours = fs::exists(marker, error);
  if (!ours && fs::exists(path, error) && !fs::is_empty(path, error)) {
    return invalid_argument(path + ": holds files that are no run of this program",
                            "choose another folder");
  }
  RETURN_IF_ERROR(make_directories(path));
  auto lock = FileLock::make(marker);
  if (!lock) return std::move(lock).error();
  if (!lock->try_exclusive()) return busy(path);
  // Looked at under the lock: another run may have ended a moment ago.
  const bool holds_run =
      std::any_of(fs::directory_iterator(path, error), {},
                  [](const auto& entry) { return entry.path().filename() != run_files::kMarker; });
  if (holds_run && former == Former::kRefuse) {
    return invalid_argument(path + ": holds a run already", "choose another folder, or remove it");
  }
  RETURN_IF_ERROR(clear(path));
  return std::unique_ptr<RunFolderWriter>(
      new RunFolderWriter(path, std::move(*lock)));  // NOLINT: private constructor
}

Status RunFolderWriter::finish() {
  const auto names = files_in(path_);
  if (!names) return names.error();
  manifest_.files.clear();
  for (const std::string& name : *names) {
    auto digest = file_digest(file(name));
    if (!digest) return std::move(digest).error();
    digest->name = name;
    manifest_.files.push_back(std::move(*digest));
  }
  manifest_.complete = true;
  return write_manifest(path_, manifest_);
}

void RunFolderWriter::discard() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

bool RunFolder::has(const std::string& name) const {
  std::error_code error;
  return fs::exists(file(name), error);
}

std::vector<std::pair<std::string, std::string>> RunFolder::of_subjects(
    const std::string& name) const {
  if (has(name)) return {{"", file(name)}};
  const size_t dot = name.find('.');
  const std::string begin = name.substr(0, dot + 1);
  const std::string end = name.substr(dot);
  std::vector<std::pair<std::string, std::string>> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    const std::string there = entry.path().filename().string();
    if (there.size() <= name.size() || !there.starts_with(begin) || !there.ends_with(end)) continue;
    found.emplace_back(there.substr(begin.size(), there.size() - name.size() - 1),
                       entry.path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> RunFolder::span_files() const {
  std::vector<std::string> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("spans.otlp") && name.ends_with(".jsonl")) {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

Result<RunFolder> open_run_folder(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return not_found(path + ": no such folder");
  RunFolder folder{.path = path, .manifest = {}};
  const bool ours = folder.has(run_files::kMarker);
  if (ours) {
    auto lock = FileLock::existing(folder.file(run_files::kMarker));
    if (!lock) return std::move(lock).error();
    if (!lock->try_shared()) return busy(path);
  }
  const std::string file = folder.file(run_files::kManifest);
  const auto text = read_file(file);
  if (!text && text.error().code != ErrorCode::kNotFound) return text.error();
  if (!text && ours) {
    return unavailable(path + ": the run in this folder never came to its end", kAuditHint);
  }
  if (!text) return folder;
  auto document = Document::parse_json(file, *text);
  if (!document) return std::move(document).error();
  document->ignore_unknown_keys();
  auto manifest = fields_from<RunManifest>(document->root());
  RETURN_IF_ERROR(document->finish());
  if (!manifest.complete) {
    return unavailable(file + ": complete: got false, expected true: the run never came to its end",
                       kAuditHint);
  }
  folder.manifest = std::move(manifest);
  return folder;
}

Result<std::vector<std::string>> altered_files(const RunFolder& folder) {
  std::vector<std::string> problems;
  if (!folder.manifest) return problems;
  auto names = files_in(folder.path);
  if (!names) return std::move(names).error();
  for (const RunFileDigest& written : folder.manifest->files) {
    const auto found = std::find(names->begin(), names->end(), written.name);
    if (found == names->end()) {
      problems.push_back(written.name + ": is gone, expected " + std::to_string(written.bytes) +
                         " bytes");
      continue;
    }
    names->erase(found);
    const auto digest = file_digest(folder.file(written.name));
    if (!digest) return digest.error();
    if (digest->sha256 == written.sha256) continue;
    problems.push_back(written.name + ": got " + std::to_string(digest->bytes) +
                       " bytes with sha256 " + digest->sha256 + ", expected " +
                       std::to_string(written.bytes) + " with " + written.sha256);
  }
  for (const std::string& name : *names) problems.push_back(name + ": was added after the run");
  return problems;
}

}  // namespace touchstone::records
