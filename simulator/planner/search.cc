#include "simulator/planner/search.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace touchstone::simulator {

Result<CountFound> least_count(int64_t guess, int64_t most, const HoldsAtCount& holds) {
  BASE_CHECK(guess >= 1 && guess <= most);
  int64_t fails = 0;  // 0: below everything
  int64_t least = most + 1;
  // From the guess outwards with growing strides, until both sides are known.
  int64_t stride = 1;
  for (int64_t at = guess; fails + 1 < least; stride *= 2) {
    const auto there = holds(at);
    if (!there) return there.error();
    (*there ? least : fails) = at;
    if (*there && at == 1) break;
    if (!*there && at == most) return CountFound{.least = std::nullopt, .fails = most};
    const bool known = *there ? fails > 0 : least <= most;
    if (known) break;
    at = *there ? std::max<int64_t>(1, at - stride) : std::min(most, at + stride);
  }
  while (fails + 1 < least) {
    const int64_t middle = fails + (least - fails) / 2;
    const auto there = holds(middle);
    if (!there) return there.error();
    (*there ? least : fails) = middle;
  }
  CountFound found{.least = least, .fails = std::nullopt};
  if (fails > 0) found.fails = fails;
  return found;
}

Result<RateFound> highest_rate(double low, double guess, double high, double precision,
                               const HoldsAtRate& holds) {
  BASE_CHECK(low > 0 && low <= guess && guess <= high && precision > 0);
  std::optional<double> most;
  std::optional<double> fails;
  for (double at = guess;;) {
    const auto there = holds(at);
    if (!there) return there.error();
    (*there ? most : fails) = at;
    if (most && fails) break;
    if (*there && at >= high) return RateFound{.most = at, .fails = std::nullopt};
    if (!*there && at <= low) return RateFound{.most = std::nullopt, .fails = at};
    at = *there ? std::min(high, at * 2) : std::max(low, at / 2);
  }
  while (*fails > *most * (1 + precision)) {
    const double middle = std::sqrt(*most * *fails);
    const auto there = holds(middle);
    if (!there) return there.error();
    (*there ? most : fails) = middle;
  }
  return RateFound{.most = most, .fails = fails};
}

}  // namespace touchstone::simulator
