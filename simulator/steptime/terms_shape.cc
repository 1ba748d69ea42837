#include "simulator/steptime/terms_shape.h"

#include "base/text.h"

namespace touchstone::simulator {
namespace {

class TermsShape final : public StepShape {
 public:
  TermsShape(const StepTerms& ns, const Validity& validity) : ns_(ns), validity_(validity) {}

  StepParts parts_ns(const StepFeatures& features) const override {
    const StepTerms terms = step_terms(features);
    StepParts parts;
    for (size_t i = 0; i < kStepTerms; ++i) {
      (kStepTermOfPrefill[i] ? parts.prefill_ns : parts.decode_ns) += ns_[i] * terms[i];
    }
    return parts;
  }
  Validity validity() const override { return validity_; }
  std::string describe() const override { return describe_terms(ns_); }

 private:
  const StepTerms ns_;
  const Validity validity_;
};

}  // namespace

std::shared_ptr<const StepShape> make_terms_shape(const StepTerms& ns, const Validity& validity) {
  return std::make_shared<TermsShape>(ns, validity);
}

std::string describe_terms(const StepTerms& ns) {
  std::string text;
  for (size_t i = 0; i < kStepTerms; ++i) {
    if (ns[i] == 0) continue;
    text += (text.empty() ? "" : " + ") + format_fixed(ns[i] / 1000, 3) + " us per " +
            kStepTermNames[i];
  }
  return text;
}

}  // namespace touchstone::simulator
