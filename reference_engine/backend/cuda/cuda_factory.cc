#include <utility>

#include "base/text.h"
#include "reference_engine/backend/cuda/cuda_backend.h"
#include "reference_engine/backend/cuda/elements.h"

namespace touchstone::backend::cuda {
namespace {

// vLLM 0.32's defaults on a GPU, by the size of its memory.
constexpr double kMemoryUtilization = 0.92;
constexpr int64_t kLargeMemory = int64_t{70} << 30;

struct CudaOptions {
  Element element = Element::kFloat32;
  double memory_utilization = kMemoryUtilization;
  Graphs graphs = Graphs::kOn;
  std::string gemm;
};

Result<Element> choose_element(const std::string& name, model::DType stored) {
  if (name == "auto") return element_of(stored);
  for (const Element element : {Element::kFloat32, Element::kBFloat16, Element::kFloat16}) {
    if (name == to_string(dtype_of(element))) return element;
  }
  return invalid_argument("--dtype: got " + quote(name) +
                          ", expected auto, float32, bfloat16 or float16");
}

Status read_setting(const std::string& name, const std::string& value, const Platform& platform,
                    CudaOptions& options) {
  if (name == "gpu-memory-utilization") {
    const auto share = parse_double(value);
    if (!share || !(*share > 0) || *share > 1) {
      return invalid_argument("--gpu-memory-utilization: got " + quote(value) +
                              ", expected a number above 0 and at most 1");
    }
    options.memory_utilization = *share;
    return {};
  }
  if (name == "enforce-eager") {
    if (value != "true" && value != "false") {
      return invalid_argument("--enforce-eager: got " + quote(value) + ", expected true or false");
    }
    options.graphs = value == "true" ? Graphs::kOff : Graphs::kOn;
    return {};
  }
  if (name == "gemm") {
    for (const std::string& known : platform.gemms) {
      if (value == known) options.gemm = value;
    }
    if (options.gemm == value) return {};
    return invalid_argument("--gemm: got " + quote(value) + ", expected " +
                            join(platform.gemms, " or "));
  }
  return invalid_argument("backend cuda: got setting " + quote(name) +
                          ", expected gpu-memory-utilization, enforce-eager or gemm");
}

ModelInfo describe(const model::LoadedModel& model, const Executor& executor,
                   const DeviceFacts& facts, const Platform& platform) {
  const model::Config& config = model.config;
  ModelInfo info;
  info.architecture = config.architecture;
  info.vocab_size = config.vocab_size;
  info.max_position_embeddings = config.max_position_embeddings;
  info.num_layers = config.num_layers;
  info.hidden_size = config.hidden_size;
  info.num_heads = config.num_heads;
  info.num_kv_heads = config.num_kv_heads;
  info.head_dim = config.head_dim;
  info.sliding_window = config.spec.common_window().value_or(0);
  info.num_parameters = model.num_parameters();
  info.weight_bytes = executor.decoder().weight_bytes();
  info.dtype = to_string(dtype_of(executor.decoder().element()));
  info.kernels = "sm_" + std::to_string(facts.compute_major) + std::to_string(facts.compute_minor) +
                 "+" + executor.gemm().name();
  info.device = platform.describe(facts);
  return info;
}

class CudaFactory final : public BackendFactory {
 public:
  explicit CudaFactory(Platform platform) : platform_(std::move(platform)) {}
  std::string name() const override { return "cuda"; }
  Status probe() const override {
    const auto facts = platform_.query();
    return facts ? check_facts(*facts) : Status(facts.error());
  }
  Result<Capabilities> capabilities() const override;
  Result<std::unique_ptr<Backend>> create(const std::string& folder,
                                          const BackendOptions& options) const override;

 private:
  Result<CudaOptions> read_options(const BackendOptions& options) const;
  Platform platform_;
};

Result<Capabilities> CudaFactory::capabilities() const {
  const auto facts = platform_.query();
  if (!facts) return facts.error();
  const bool large =
      facts->total_bytes >= kLargeMemory && to_lower(facts->name).find("a100") == std::string::npos;
  return Capabilities{.dtypes = {"float32", "bfloat16", "float16"},
                      .default_block_size = 16,
                      .block_size_multiple = 16,
                      .max_block_size = 1024,
                      .default_max_num_seqs = large ? 1024 : 256,
                      .default_max_num_batched_tokens = large ? 8192 : 2048,
                      .default_kv_cache_bytes = INT64_MAX,
                      .default_kv_percent = 100,
                      .max_plans_in_flight = static_cast<int32_t>(Staging::kHalves),
                      .max_adapters = 0,
                      .settings = {"gpu-memory-utilization", "enforce-eager", "gemm"}};
}

Result<CudaOptions> CudaFactory::read_options(const BackendOptions& options) const {
  CudaOptions cuda{.gemm = platform_.gemms.front()};
  for (const auto& [name, value] : options.settings) {
    RETURN_IF_ERROR(read_setting(name, value, platform_, cuda));
  }
  // An unknown type is refused before any weight is read.
  const auto element = choose_element(options.dtype, model::DType::kFloat32);
  if (!element) return element.error();
  return cuda;
}

Result<std::unique_ptr<Backend>> CudaFactory::create(const std::string& folder,
                                                     const BackendOptions& options) const {
  const auto cuda = read_options(options);
  if (!cuda) return cuda.error();
  auto model = model::load_model(folder, {.format = options.load_format, .seed = options.seed});
  if (!model) return std::move(model).error();
  const auto element = choose_element(options.dtype, model->config.dtype);
  if (!element) return element.error();
  auto device = platform_.open();
  if (!device) return std::move(device).error();
  auto gemm = platform_.make_gemm(**device, cuda->gemm);
  if (!gemm) return std::move(gemm).error();
  auto decoder = Decoder::make(**device, **gemm, *model, *element);
  if (!decoder) return std::move(decoder).error();
  auto executor =
      std::make_unique<Executor>(**device, *std::move(gemm), *std::move(decoder), cuda->graphs);
  const auto can = capabilities();
  if (!can) return can.error();
  ModelInfo info = describe(*model, *executor, (*device)->facts(), platform_);
  const Limits usual{.max_num_batched_tokens = can->default_max_num_batched_tokens,
                     .max_num_seqs = can->default_max_num_seqs,
                     .max_model_len = info.max_position_embeddings,
                     .block_size = can->default_block_size};
  return std::unique_ptr<Backend>(std::make_unique<CudaBackend>(
      *std::move(device), std::move(executor), std::move(info), cuda->memory_utilization, usual));
}

}  // namespace

std::unique_ptr<BackendFactory> cuda_factory(Platform platform) {
  return std::make_unique<CudaFactory>(std::move(platform));
}

}  // namespace touchstone::backend::cuda
