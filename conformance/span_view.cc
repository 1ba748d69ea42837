#include "conformance/span_view.h"

#include "base/clock.h"

namespace touchstone::conformance {

void SpanView::set_type(const CompiledType* of) {
  type = of;
  values.clear();
  rest.clear();
  forbidden.clear();
  keys_differ = false;
  if (of == nullptr) return;
  values.resize(of->slots(), nullptr);
  size_t repeated = 0;
  size_t without_slot = 0;
  size_t at = 0;
  for (const telemetry::KeyValue& attribute : span->attributes) {
    const KeyRules key = of->rules_of_key(attribute.key, at);
    if (!key.slot) {
      ++without_slot;
    } else if (values[*key.slot] != nullptr) {
      ++repeated;
    } else {
      values[*key.slot] = &attribute.value;
    }
    if (!key.slot || *key.slot >= of->rules().size()) rest.push_back(&attribute);
    if (key.is_forbidden) forbidden.push_back(&attribute);
  }
  keys_differ = repeated == 0 && without_slot <= 1;
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
  return type == nullptr ? std::nullopt : number(type->number_of(word));
}

std::optional<double> SpanView::number(const NumberPlace& place) const {
  if (place.is_duration) return duration_s();
  const telemetry::Value* value = place.slot ? values[*place.slot] : nullptr;
  if (value == nullptr) return std::nullopt;
  const double to_base = type->to_base(*place.slot);
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
