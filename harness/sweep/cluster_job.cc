#include "harness/sweep/cluster_job.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/files.h"
#include "base/text.h"
#include "harness/process/capture.h"

namespace touchstone::harness {
namespace {

// What Slurm takes in one array unless it is told otherwise (MaxArraySize).
constexpr int64_t kMostTasks = 1000;
constexpr int64_t kTimeoutNs = 30 * 24 * 3600 * kNsPerSecond;
// The folder of the points in a pod.
constexpr char kPodFolder[] = "/sweep";

std::string absolute(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

Result<int64_t> tasks_of(const ClusterJobOptions& options) {
  const auto grid = read_grid(options.grid_path);
  if (!grid) return grid.error();
  const int64_t most = std::min(grid->points(), kMostTasks);
  return options.tasks > 0 ? std::min(options.tasks, most) : most;
}

}  // namespace

std::string slurm_script(int64_t tasks) {
  const std::string count = std::to_string(tasks);
  return "#!/bin/sh\n#SBATCH --job-name=touchstone-sweep\n#SBATCH --array=0-" +
         std::to_string(tasks - 1) +
         "\n#SBATCH --ntasks=1\nexec \"$@\" --share \"$SLURM_ARRAY_TASK_ID/" + count + "\"\n";
}

Result<SweepOutcome> run_on_slurm(const ClusterJobOptions& options,
                                  const Supervision& supervision) {
  const auto tasks = tasks_of(options);
  if (!tasks) return tasks.error();
  const std::string output = absolute(options.output);
  RETURN_IF_ERROR(make_directories(output + "/logs"));
  const std::string script = output + "/array.sbatch";
  RETURN_IF_ERROR(write_file_atomic(script, slurm_script(*tasks)));
  SpawnOptions spawn{.name = "sbatch",
                     .argv = {"sbatch", "--wait", "--output=" + output + "/logs/task-%a.log",
                              "--chdir=" + std::filesystem::current_path().string()}};
  spawn.argv.insert(spawn.argv.end(), options.arguments.begin(), options.arguments.end());
  for (const std::string& word :
       {script, absolute(options.program), std::string("sweep"), absolute(options.grid_path),
        std::string("--output"), output, std::string("--jobs"), std::string("1")}) {
    spawn.argv.push_back(word);
  }
  const auto ran = run_and_capture(std::move(spawn), supervision, kTimeoutNs);
  if (!ran) {
    Error error = ran.error();
    if (error.code == ErrorCode::kNotFound) error.hint = "--on slurm submits with Slurm's sbatch";
    return error;
  }
  // Of an array that ran the status is its worst task's; the points tell which one that was.
  if (ran->output.find("Submitted batch job") == std::string::npos) {
    return unavailable("sbatch: " + ran->status.text() + ": " + std::string(trim(ran->errors)));
  }
  return gather_sweep({.grid_path = options.grid_path,
                       .output = options.output,
                       .program = options.program,
                       .progress = {}});
}

std::string kubernetes_manifest(const ClusterJobOptions& options, int64_t tasks) {
  const std::string grid =
      std::string(kPodFolder) + "/" + std::filesystem::path(options.grid_path).filename().string();
  const std::vector<std::string> command = {"touchstone",
                                            "sweep",
                                            grid,
                                            "--output",
                                            std::string(kPodFolder) + "/out",
                                            "--jobs",
                                            "1",
                                            "--share",
                                            "$(JOB_COMPLETION_INDEX)/" + std::to_string(tasks)};
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "apiVersion" << YAML::Value << "batch/v1";
  out << YAML::Key << "kind" << YAML::Value << "Job";
  out << YAML::Key << "metadata" << YAML::Value << YAML::BeginMap << YAML::Key << "name"
      << YAML::Value << "touchstone-sweep" << YAML::EndMap;
  out << YAML::Key << "spec" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "completionMode" << YAML::Value << "Indexed";
  out << YAML::Key << "completions" << YAML::Value << tasks;
  out << YAML::Key << "parallelism" << YAML::Value << tasks;
  out << YAML::Key << "backoffLimitPerIndex" << YAML::Value << 1;
  out << YAML::Key << "template" << YAML::Value << YAML::BeginMap << YAML::Key << "spec"
      << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "restartPolicy" << YAML::Value << "Never";
  out << YAML::Key << "containers" << YAML::Value << YAML::BeginSeq << YAML::BeginMap;
  out << YAML::Key << "name" << YAML::Value << "points";
  out << YAML::Key << "image" << YAML::Value << options.image;
  out << YAML::Key << "command" << YAML::Value << YAML::BeginSeq;
  for (const std::string& word : command) out << YAML::DoubleQuoted << word;
  out << YAML::EndSeq;
  out << YAML::Key << "workingDir" << YAML::Value << kPodFolder;
  out << YAML::Key << "resources" << YAML::Value << YAML::BeginMap << YAML::Key << "requests"
      << YAML::Value << YAML::BeginMap << YAML::Key << "cpu" << YAML::Value << YAML::DoubleQuoted
      << "1" << YAML::EndMap << YAML::EndMap;
  out << YAML::Key << "volumeMounts" << YAML::Value << YAML::BeginSeq << YAML::BeginMap << YAML::Key
      << "name" << YAML::Value << "points" << YAML::Key << "mountPath" << YAML::Value << kPodFolder
      << YAML::EndMap << YAML::EndSeq;
  out << YAML::EndMap << YAML::EndSeq;
  out << YAML::Key << "volumes" << YAML::Value << YAML::BeginSeq << YAML::BeginMap << YAML::Key
      << "name" << YAML::Value << "points" << YAML::Key << "persistentVolumeClaim" << YAML::Value
      << YAML::BeginMap << YAML::Key << "claimName" << YAML::Value << options.claim << YAML::EndMap
      << YAML::EndMap << YAML::EndSeq;
  out << YAML::EndMap << YAML::EndMap << YAML::EndMap << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

Result<std::string> write_kubernetes_job(const ClusterJobOptions& options) {
  if (options.image.empty() || options.claim.empty()) {
    return invalid_argument(std::string(options.image.empty() ? "--image" : "--claim") +
                                ": got none, expected it with --on kubernetes",
                            "an image with this program on its PATH, and a claim of a volume that "
                            "holds the grid and what it names, and takes the points");
  }
  const auto tasks = tasks_of(options);
  if (!tasks) return tasks.error();
  RETURN_IF_ERROR(make_directories(options.output));
  std::string path = options.output + "/job.yaml";
  RETURN_IF_ERROR(write_file_atomic(path, kubernetes_manifest(options, *tasks)));
  return path;
}

}  // namespace touchstone::harness
