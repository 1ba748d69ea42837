// Rules about settings with which spans are lost, and nothing says so.
#include <algorithm>

#include "base/text.h"
#include "harness/collector/lint_rules.h"

namespace touchstone::harness {
namespace {

using Level = LintFinding::Level;

std::string type_of(const YAML::Node& id) { return split(id.Scalar(), '/').front(); }

/// Exporters of the pipeline of one type: id and body.
std::vector<std::pair<YAML::Node, YAML::Node>> exporters_of(const LintPass& pass,
                                                            const YAML::Node& pipeline) {
  std::vector<std::pair<YAML::Node, YAML::Node>> found;
  for (const YAML::Node& id : entry_of(pipeline, "exporters").second) {
    const auto entry = entry_of(pass.section("exporters"), id.Scalar());
    if (entry.first.IsDefined()) found.push_back(entry);
  }
  return found;
}

std::string setting(const YAML::Node& body, const char* key, const char* fallback) {
  const YAML::Node value = entry_of(body, key).second;
  return value.IsDefined() && value.IsScalar() ? value.Scalar() : fallback;
}

/// The same batches behind the queue.
bool move_batch(LintPass& pass, const YAML::Node& batch_id, const YAML::Node& queue_key,
                const YAML::Node& queue) {
  if (entry_of(queue, "batch").first.IsDefined()) return true;
  const YAML::Node body = entry_of(pass.section("processors"), batch_id.Scalar()).second;
  return pass.yaml().insert_first(queue_key, queue,
                                  "batch:\n  flush_timeout: " + setting(body, "timeout", "200ms") +
                                      "\n  min_size: " + setting(body, "send_batch_size", "8192") +
                                      "\n");
}

}  // namespace

void batch_before_queue(LintPass& pass) {
  for (const auto& [name, pipeline] : pass.pipelines()) {
    const YAML::Node processors = entry_of(pipeline, "processors").second;
    if (!processors.IsDefined() || !processors.IsSequence()) continue;
    for (size_t i = 0; i < processors.size(); ++i) {
      const YAML::Node batch = processors[i];
      if (type_of(batch) != "batch") continue;
      for (const auto& [id, body] : exporters_of(pass, pipeline)) {
        const auto [key, queue] = entry_of(body, "sending_queue");
        if (!entry_of(queue, "storage").first.IsDefined()) continue;
        const bool fixed =
            move_batch(pass, batch, key, queue) && pass.yaml().remove_item(processors, i);
        pass.find(Level::kError, "batch.before_queue", batch,
                  "service.pipelines." + name + ": got " + quote(batch.Scalar()) +
                      " before the queue on disk of " + quote(id.Scalar()) +
                      ": what it holds is acknowledged and lost with the process; expected "
                      "sending_queue.batch in the exporter",
                  fixed);
        break;
      }
    }
  }
}

void file_forgets(LintPass& pass) {
  for (const auto& [id, body] : pass.components("exporters", "file")) {
    const YAML::Node append = entry_of(body, "append").second;
    const bool appends = append.IsDefined() && append.IsScalar() && append.Scalar() == "true";
    const bool rotates = entry_of(body, "rotation").first.IsDefined();
    if (appends && rotates) {
      pass.find(Level::kError, "file.append", append,
                "exporters." + id.Scalar() + ": got append and rotation, expected one of them",
                false);
    } else if (!appends && !rotates) {
      pass.find(Level::kWarning, "file.truncates", id,
                "exporters." + id.Scalar() +
                    ": each start of the Collector empties the file; expected append: true or "
                    "rotation",
                pass.yaml().insert_first(id, body, "append: true\n"));
    }
  }
}

void sampling_before_file(LintPass& pass) {
  for (const auto& [name, pipeline] : pass.pipelines()) {
    const auto exporters = exporters_of(pass, pipeline);
    const bool writes_file = std::any_of(exporters.begin(), exporters.end(), [](const auto& each) {
      return type_of(each.first) == "file";
    });
    if (!writes_file) continue;
    for (const YAML::Node& processor : entry_of(pipeline, "processors").second) {
      const std::string type = type_of(processor);
      if (type != "tail_sampling" && type != "probabilistic_sampler") continue;
      pass.find(Level::kWarning, "sampling.before_file", processor,
                "service.pipelines." + name + ": got " + quote(processor.Scalar()) +
                    " before a file: what was dropped cannot be told from what was lost",
                false);
    }
  }
}

void limiter_not_first(LintPass& pass) {
  for (const auto& [name, pipeline] : pass.pipelines()) {
    const YAML::Node processors = entry_of(pipeline, "processors").second;
    if (!processors.IsDefined() || !processors.IsSequence()) continue;
    for (size_t i = 1; i < processors.size(); ++i) {
      const YAML::Node processor = processors[i];
      if (type_of(processor) != "memory_limiter") continue;
      pass.find(Level::kWarning, "limiter.order", processor,
                "service.pipelines." + name +
                    ": got memory_limiter after other processors, expected it first: what they "
                    "hold is lost when it refuses",
                false);
    }
  }
}

}  // namespace touchstone::harness
