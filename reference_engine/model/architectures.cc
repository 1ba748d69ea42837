#include "reference_engine/model/architectures.h"

namespace touchstone::model {
namespace {

constexpr Architecture kTable[] = {
    {"LlamaForCausalLM", read_llama}, {"MistralForCausalLM", read_mistral},
    {"OPTForCausalLM", read_opt},     {"Qwen2ForCausalLM", read_qwen2},
    {"Qwen3ForCausalLM", read_qwen3},
};

}  // namespace

const Architecture* find_architecture(const std::string& name) {
  for (const Architecture& row : kTable) {
    if (name == row.name) return &row;
  }
  return nullptr;
}

std::vector<std::string> architecture_names() {
  std::vector<std::string> names;
  for (const Architecture& row : kTable) names.emplace_back(row.name);
  return names;
}

}  // namespace touchstone::model
