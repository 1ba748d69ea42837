// Flags of vLLM that place and split the work on devices, and choose kernels.
#include "cli/unhonoured_flags.h"

namespace touchstone::cli {
namespace {

using Kind = UnhonouredFlag::Kind;

constexpr const char* kOneProcess = "the engine is one process on one device";
constexpr const char* kNoDataParallel = "one engine per process; start several behind a router";
constexpr const char* kNotSplit = "the model is not split";
constexpr const char* kNoExperts = "models have no experts";
constexpr const char* kNotCompiled = "kernels are not compiled while it runs";
constexpr const char* kKernels = "every backend has its own kernels; see --device and --kernels";
constexpr const char* kSystemPlaces = "the system places threads and memory";
constexpr const char* kNoElastic = "the number of engines does not change while it runs";

constexpr UnhonouredFlag kFlags[] = {
    {"--tensor-parallel-size", "-tp", Kind::kValue, "1", kNotSplit},
    {"--pipeline-parallel-size", "-pp", Kind::kValue, "1", kNotSplit},
    {"--decode-context-parallel-size", "-dcp", Kind::kValue, "1", kNotSplit},
    {"--prefill-context-parallel-size", "-pcp", Kind::kValue, "1", kNotSplit},
    {"--dcp-comm-backend", "", Kind::kValue, "*", kNotSplit},
    {"--dcp-q-replicate", "", Kind::kSwitch, "*", kNotSplit},
    {"--dcp-kv-cache-interleave-size", "", Kind::kValue, "*", kNotSplit},
    {"--cp-kv-cache-interleave-size", "", Kind::kValue, "*", kNotSplit},
    {"--data-parallel-size", "-dp", Kind::kValue, "1", kNoDataParallel},
    {"--data-parallel-rank", "-dpn", Kind::kValue, "0", kNoDataParallel},
    {"--data-parallel-start-rank", "-dpr", Kind::kValue, "0", kNoDataParallel},
    {"--data-parallel-size-local", "-dpl", Kind::kValue, "1", kNoDataParallel},
    {"--data-parallel-address", "-dpa", Kind::kValue, "*", kNoDataParallel},
    {"--data-parallel-rpc-port", "-dpp", Kind::kValue, "*", kNoDataParallel},
    {"--data-parallel-backend", "-dpb", Kind::kValue, "*", kNoDataParallel},
    {"--data-parallel-hybrid-lb", "-dph", Kind::kSwitch, "", kNoDataParallel},
    {"--data-parallel-external-lb", "-dpe", Kind::kSwitch, "", kNoDataParallel},
    {"--data-parallel-multi-port-external-lb", "-dpm", Kind::kSwitch, "", kNoDataParallel},
    {"--dp-sync-interval", "", Kind::kValue, "*", kNoDataParallel},
    {"--disable-nccl-for-dp-synchronization", "", Kind::kSwitch, "*", kNoDataParallel},
    {"--distributed-executor-backend", "", Kind::kValue, "*", kOneProcess},
    {"--master-addr", "", Kind::kValue, "*", kOneProcess},
    {"--master-port", "", Kind::kValue, "*", kOneProcess},
    {"--nnodes", "-n", Kind::kValue, "1", kOneProcess},
    {"--node-rank", "-r", Kind::kValue, "0", kOneProcess},
    {"--distributed-timeout-seconds", "", Kind::kValue, "*", kOneProcess},
    {"--cpu-distributed-timeout-seconds", "", Kind::kValue, "*", kOneProcess},
    {"--numa-bind", "", Kind::kSwitch, "*", kSystemPlaces},
    {"--numa-bind-nodes", "", Kind::kValue, "*", kSystemPlaces},
    {"--numa-bind-cpus", "", Kind::kValue, "*", kSystemPlaces},
    {"--device-ids", "", Kind::kValue, "0", "one device; CUDA_VISIBLE_DEVICES chooses it"},
    {"--enable-hc-sp", "", Kind::kSwitch, "*", kNotSplit},
    {"--enable-expert-parallel", "-ep", Kind::kSwitch, "*", kNoExperts},
    {"--enable-batch-sharded-sampling", "", Kind::kSwitch, "*", kNotSplit},
    {"--enable-ep-weight-filter", "", Kind::kSwitch, "*", kNoExperts},
    {"--all2all-backend", "", Kind::kValue, "*", kNoExperts},
    {"--enable-dbo", "", Kind::kSwitch, "*", "batches are not split to overlap communication"},
    {"--ubatch-size", "", Kind::kValue, "0", "batches are not split to overlap communication"},
    {"--dbo-decode-token-threshold", "", Kind::kValue, "*", "batches are not split"},
    {"--dbo-prefill-token-threshold", "", Kind::kValue, "*", "batches are not split"},
    {"--enable-shm-tensor-arena", "", Kind::kSwitch, "*", kOneProcess},
    {"--enable-elastic-ep", "", Kind::kSwitch, "", kNoElastic},
    {"--elastic-ep-max-dp-size", "", Kind::kValue, "*", kNoElastic},
    {"--enable-eplb", "", Kind::kSwitch, "*", kNoExperts},
    {"--eplb-config", "", Kind::kValue, "*", kNoExperts},
    {"--expert-placement-strategy", "", Kind::kValue, "*", kNoExperts},
    {"--ray-workers-use-nsight", "", Kind::kSwitch, "", kOneProcess},
    {"--disable-custom-all-reduce", "", Kind::kSwitch, "*", kOneProcess},
    {"--worker-cls", "", Kind::kValue, "auto", "the server is not Python and loads no code"},
    {"--worker-extension-cls", "", Kind::kValue, "", "the server is not Python and loads no code"},
    {"--enable-fault-tolerance", "", Kind::kSwitch, "", kOneProcess},
    {"--fault-tolerance-config", "", Kind::kValue, "*", kOneProcess},
    {"--attention-backend", "", Kind::kValue, "*", kKernels},
    {"--attention-config", "-ac", Kind::kValue, "*", kKernels},
    {"--disable-cascade-attn", "", Kind::kSwitch, "*", kKernels},
    {"--kernel-config", "", Kind::kValue, "*", kKernels},
    {"--ir-op-priority", "", Kind::kValue, "*", kKernels},
    {"--enable-flashinfer-autotune", "", Kind::kSwitch, "*", kKernels},
    {"--moe-backend", "", Kind::kValue, "*", kNoExperts},
    {"--linear-backend", "", Kind::kValue, "*", kKernels},
    {"--sparse-indexer-topk-backend", "", Kind::kValue, "*", kKernels},
    {"--gdn-prefill-backend", "", Kind::kValue, "*", kKernels},
    {"--kda-prefill-backend", "", Kind::kValue, "*", kKernels},
    {"--kda-decode-backend", "", Kind::kValue, "*", kKernels},
    {"--cudagraph-capture-sizes", "", Kind::kValue, "*", "graphs are captured at sizes of our own"},
    {"--max-cudagraph-capture-size", "", Kind::kValue, "*",
     "graphs are captured at sizes of our own"},
    {"--compilation-config", "-cc", Kind::kValue, "*", kNotCompiled},
    {"--optimization-level", "-O", Kind::kValue, "*", kNotCompiled},
    {"--performance-mode", "", Kind::kValue, "*", kNotCompiled},
    {"--jit-monitor-mode", "", Kind::kValue, "*", kNotCompiled},
    {"--jit-monitor-verbose", "", Kind::kSwitch, "*", kNotCompiled},
};

}  // namespace

std::span<const UnhonouredFlag> unhonoured_hardware_flags() { return kFlags; }

}  // namespace touchstone::cli
