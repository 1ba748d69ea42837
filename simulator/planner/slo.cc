#include "simulator/planner/slo.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"

namespace touchstone::simulator {
namespace {

constexpr double kEndless = std::numeric_limits<double>::infinity();

/// The time of a phase; endless when the request was not served, nullopt when it has none.
std::optional<double> time_of(const RequestTimes& request, Phase phase) {
  const std::optional<double>& time = phase == Phase::kTtft   ? request.ttft_s
                                      : phase == Phase::kTpot ? request.tpot_s
                                                              : request.e2e_s;
  if (time) return time;
  return request.e2e_s ? std::nullopt : std::optional(kEndless);
}

/// The smallest value that at least q of all are at or below: endless ones have no neighbour to
/// interpolate with.
double nearest_rank(std::vector<double>& values, double q) {
  const auto rank =
      static_cast<size_t>(std::ceil(q * static_cast<double>(values.size()) - 1e-9)) - 1;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(std::min(rank, values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

const char* to_string(Phase phase) {
  constexpr const char* kNames[] = {"ttft", "tpot", "e2e"};
  return kNames[static_cast<size_t>(phase)];
}

std::string name_of(const Slo& slo) {
  return std::string(to_string(slo.phase)) + " p" + format_double(slo.quantile * 100);
}

Result<Slo> parse_slo(const std::string& text) {
  const std::vector<std::string> parts = split(text, ':');
  const auto bad = [&text](const std::string& expected) {
    return invalid_argument("--slo: got " + quote(text) + ", expected " + expected,
                            "for example ttft:p95:1s");
  };
  if (parts.size() != 3) return bad("PHASE:pQUANTILE:LIMIT");
  Slo slo;
  if (parts[0] == "ttft") {
    slo.phase = Phase::kTtft;
  } else if (parts[0] == "tpot") {
    slo.phase = Phase::kTpot;
  } else if (parts[0] == "e2e") {
    slo.phase = Phase::kE2e;
  } else {
    return bad("ttft, tpot or e2e first");
  }
  const auto percent =
      parts[1].starts_with("p") ? parse_double(std::string_view(parts[1]).substr(1)) : std::nullopt;
  if (!percent || !(*percent > 0) || !(*percent < 100)) return bad("a quantile like p95 or p99.9");
  slo.quantile = *percent / 100;
  const auto limit_ns = parse_duration_ns(parts[2]);
  if (!limit_ns) return Error(limit_ns.error()).with_context("--slo");
  if (*limit_ns < 1) return bad("a limit of more than 0");
  slo.limit_s = to_seconds(*limit_ns);
  return slo;
}

bool Attainment::all_kept() const {
  return goodput_kept && std::all_of(rows.begin(), rows.end(), [](const Row& r) { return r.kept; });
}

std::optional<size_t> Attainment::worst(const Slos& slos) const {
  std::optional<size_t> worst;
  double most = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const double over = rows[i].value_s / slos.limits[i].limit_s;
    if (rows[i].kept || over <= most) continue;
    most = over;
    worst = i;
  }
  if (!worst && !goodput_kept) return rows.size();
  return worst;
}

Attainment attain(const Slos& slos, const std::vector<RequestTimes>& requests) {
  BASE_CHECK(!requests.empty());
  Attainment result;
  std::vector<double> values;
  for (const Slo& slo : slos.limits) {
    values.clear();
    for (const RequestTimes& request : requests) {
      if (const auto time = time_of(request, slo.phase)) values.push_back(*time);
    }
    const double value = values.empty() ? 0 : nearest_rank(values, slo.quantile);
    result.rows.push_back({value, value <= slo.limit_s});
  }
  int64_t good = 0;
  for (const RequestTimes& request : requests) {
    good += request.e2e_s &&
            std::all_of(slos.limits.begin(), slos.limits.end(), [&request](const Slo& slo) {
              return time_of(request, slo.phase).value_or(0) <= slo.limit_s;
            });
  }
  result.goodput = static_cast<double>(good) / static_cast<double>(requests.size());
  result.goodput_kept = !slos.goodput || result.goodput >= *slos.goodput;
  return result;
}

}  // namespace touchstone::simulator
