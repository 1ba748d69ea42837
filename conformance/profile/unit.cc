#include "conformance/profile/unit.h"

namespace touchstone::conformance {
namespace {

struct Unit {
  const char* name;
  double base;
};
constexpr Unit kTimes[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3},
                           {"s", 1},     {"min", 60},  {"h", 3600}};

}  // namespace

double to_base_unit(const std::string& unit) {
  for (const Unit& time : kTimes) {
    if (unit == time.name) return time.base;
  }
  return unit == "%" ? 0.01 : 1;
}

bool is_time_unit(const std::string& unit) {
  for (const Unit& time : kTimes) {
    if (unit == time.name) return true;
  }
  return false;
}

}  // namespace touchstone::conformance
