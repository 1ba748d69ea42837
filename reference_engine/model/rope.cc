#include "reference_engine/model/rope.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/text.h"
#include "reference_engine/model/config_fields.h"

namespace touchstone::model {
namespace {

using nlohmann::json;

/// What a type makes its frequencies of.
struct Inputs {
  Fields scaling;  ///< rope_scaling or rope_parameters
  double theta = 0;
  int32_t head_dim = 0;
  int32_t max_positions = 0;
  int32_t original_positions = 0;  ///< of pretraining
  double factor = 1;
};

struct Outputs {
  RopeSpec rope;
  double longest = 0;  ///< positions; 0: as config.json says
};

/// A number in (0, 1e30]; 1 after an error. No `fallback`: the key must be there.
double positive(const Fields& fields, const char* key, std::optional<double> fallback = {}) {
  if (fallback && fields.raw(key).is_null()) return *fallback;
  const double value = fields.required_double(key);
  if (value > 0 && value <= 1e30) return value;
  fields.fail(key, "expected a positive number up to 1e30");
  return 1;
}

Outputs linear(const Inputs& in) {
  Outputs out{.rope = {.inverse_frequencies = rope_table(in.theta, in.head_dim)},
              .longest = in.factor * in.max_positions};
  for (float& f : out.rope.inverse_frequencies) f /= static_cast<float>(in.factor);
  return out;
}

Outputs dynamic(const Inputs& in) {
  const double longest = in.factor * in.max_positions;
  const double stretch = in.factor * longest / in.max_positions - (in.factor - 1);
  const double width = in.head_dim;
  const double theta = in.theta * std::pow(stretch, width / (width - 2));
  return {.rope = {.inverse_frequencies = rope_table(theta, in.head_dim)}, .longest = longest};
}

Outputs llama3(const Inputs& in) {
  const double low = positive(in.scaling, "low_freq_factor");
  const double high = positive(in.scaling, "high_freq_factor");
  const float factor = static_cast<float>(in.factor);
  const float original = static_cast<float>(in.original_positions);
  if (!(high > low)) in.scaling.fail("high_freq_factor", "expected more than low_freq_factor");
  Outputs out{.rope = {.inverse_frequencies = rope_table(in.theta, in.head_dim)}};
  for (float& f : out.rope.inverse_frequencies) {
    const float wavelength = static_cast<float>(2 * std::numbers::pi) / f;
    if (wavelength < static_cast<float>(in.original_positions / high)) continue;
    if (wavelength > static_cast<float>(in.original_positions / low)) {
      f /= factor;
      continue;
    }
    const float smooth =
        (original / wavelength - static_cast<float>(low)) / static_cast<float>(high - low);
    f = (1 - smooth) * f / factor + smooth * f;
  }
  return out;
}

/// How many pairs turn more than `rotations` times within the original length.
double correction_dim(const Inputs& in, double rotations) {
  return in.head_dim * std::log(in.original_positions / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(in.theta));
}

double yarn_attention_factor(const Inputs& in) {
  if (!in.scaling.raw("attention_factor").is_null()) {
    return positive(in.scaling, "attention_factor", 1);
  }
  const auto magnitude = [&](double scale) {
    return in.factor <= 1 ? 1.0 : 0.1 * scale * std::log(in.factor) + 1.0;
  };
  const double mscale = in.scaling.optional_double("mscale").value_or(0);
  const double all = in.scaling.optional_double("mscale_all_dim").value_or(0);
  return mscale != 0 && all != 0 ? magnitude(mscale) / magnitude(all) : magnitude(1);
}

Outputs yarn(const Inputs& in) {
  double low = correction_dim(in, positive(in.scaling, "beta_fast", 32));
  double high = correction_dim(in, positive(in.scaling, "beta_slow", 1));
  if (in.scaling.optional_bool("truncate").value_or(true)) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, in.head_dim - 1.0);
  if (low == high) high += 0.001;
  Outputs out{.rope = {.inverse_frequencies = rope_table(in.theta, in.head_dim),
                       .attention_factor = yarn_attention_factor(in)},
              .longest = in.factor * in.original_positions};
  float index = 0;
  for (float& f : out.rope.inverse_frequencies) {
    const float ramp = std::clamp(
        (index++ - static_cast<float>(low)) / static_cast<float>(high - low), 0.0F, 1.0F);
    const float kept = 1 - ramp;
    f = f / static_cast<float>(in.factor) * (1 - kept) + f * kept;
  }
  return out;
}

struct Type {
  const char* name;
  Outputs (*make)(const Inputs& in);
};
constexpr Type kTypes[] = {
    {"linear", linear}, {"dynamic", dynamic}, {"llama3", llama3}, {"yarn", yarn}};

std::string type_name(const Fields& scaling) {
  if (!scaling.raw("rope_type").is_null()) return scaling.required_string("rope_type");
  return scaling.optional_string("type").value_or("default");
}

/// What no implemented type knows but would change the arithmetic.
Status refuse_other_scalings(const Fields& scaling) {
  return refuse_other_values(scaling, {{"partial_rotary_factor", 1.0},
                                       {"alpha", nullptr},
                                       {"attn_factor", 1.0},
                                       {"extrapolation_factor", 1.0},
                                       {"mrope_section", nullptr},
                                       {"short_factor", nullptr},
                                       {"long_factor", nullptr},
                                       {"full_attention", nullptr},
                                       {"sliding_attention", nullptr}});
}

}  // namespace

Status read_rope(const Fields& root, Config& config) {
  RETURN_IF_ERROR(refuse_other_values(root, {{"partial_rotary_factor", 1.0}}));
  // transformers 4 spells rope_theta beside rope_scaling, 5 puts both into rope_parameters.
  const char* key = root.raw("rope_scaling").is_null() ? "rope_parameters" : "rope_scaling";
  const Fields scaling = root.object(root.raw(key).is_null() ? "" : key);
  const double theta = positive(scaling, "rope_theta", positive(root, "rope_theta", 10000.0));
  RETURN_IF_ERROR(refuse_other_scalings(scaling));
  if (config.head_dim % 2 != 0 || config.head_dim < 4) {
    root.fail("head_dim", "got " + std::to_string(config.head_dim) +
                              ", expected an even number from 4 on (rotary embedding works on "
                              "pairs)");
    return {};
  }
  const std::string type = type_name(scaling);
  if (type == "default") {
    config.spec.rope = RopeSpec{.inverse_frequencies = rope_table(theta, config.head_dim)};
    return {};
  }
  const auto row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                [&](const Type& t) { return type == t.name; });
  if (row == std::end(kTypes)) {
    std::vector<std::string> names = {"default"};
    for (const Type& t : kTypes) names.emplace_back(t.name);
    return unsupported(root.where(key), std::string(key) + ".rope_type: got " + quote(type) +
                                            ", implemented: " + join(names, ", "));
  }
  Inputs in{.scaling = scaling,
            .theta = theta,
            .head_dim = config.head_dim,
            .max_positions = config.max_position_embeddings};
  in.factor = positive(scaling, "factor");
  if (in.factor < 1) scaling.fail("factor", "expected at least 1");
  if (theta <= 1) root.fail("rope_theta", "expected more than 1 when rope is scaled");
  in.original_positions =
      read_count(root, "original_max_position_embeddings",
                 read_count(scaling, "original_max_position_embeddings", in.max_positions));
  Outputs out = row->make(in);
  config.spec.rope = std::move(out.rope);
  if (out.longest > 0) {
    config.max_position_embeddings = static_cast<int32_t>(
        std::min<double>(out.longest, std::numeric_limits<int32_t>::max() / 64));
  }
  return {};
}

}  // namespace touchstone::model
