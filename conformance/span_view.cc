#include "conformance/span_view.h"

#include "base/clock.h"

namespace touchstone::conformance {

void SpanView::set_type(const CompiledType* of) {
  type = of;
  values.clear();
  rest.clear();
  if (of == nullptr) return;
  values.resize(of->slots(), nullptr);
  for (const telemetry::KeyValue& attribute : span->attributes) {
    const std::optional<size_t> slot = of->slot_of_key(attribute.key);
    if (slot && values[*slot] == nullptr) values[*slot] = &attribute.value;
    if (!slot || *slot >= of->rules().size()) rest.push_back(&attribute);
  }
}

double SpanView::duration_s() const {
  return static_cast<double>(span->end_unix_ns - span->start_unix_ns) /
         static_cast<double>(kNsPerSecond);
}

const telemetry::Value* SpanView::value(std::string_view word) const {
  const std::optional<size_t> slot = type == nullptr ? std::nullopt : type->slot_of_word(word);
  return slot ? values[*slot] : nullptr;
}

std::optional<double> SpanView::number(std::string_view word) const {
  if (type == nullptr) return std::nullopt;
  if (word == "duration") return duration_s();
  const std::optional<size_t> slot = type->slot_of_word(word);
  const telemetry::Value* value = slot ? values[*slot] : nullptr;
  if (value == nullptr) return std::nullopt;
  const double to_base = type->to_base(*slot);
  if (const int64_t* integer = value->integer()) return static_cast<double>(*integer) * to_base;
  if (const double* number = value->number()) return *number * to_base;
  return std::nullopt;
}

std::optional<std::string_view> SpanView::text(std::string_view word) const {
  const telemetry::Value* found = value(word);
  if (found == nullptr || found->string() == nullptr) return std::nullopt;
  return *found->string();
}

Operand SpanView::operand(std::string_view word) const {
  if (const auto as_number = number(word)) return *as_number;
  if (const auto as_text = text(word)) return std::string(*as_text);
  return {};
}

}  // namespace touchstone::conformance
