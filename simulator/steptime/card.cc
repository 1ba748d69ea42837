#include "simulator/steptime/card.h"

#include <string>
#include <vector>

#include "base/text.h"

namespace touchstone::simulator {
namespace {

// Source: the system files of NVIDIA AIConfigurator 0.12.0 (Apache-2.0), which name the datasheets.
constexpr Card kCards[] = {
    {"a100_sxm", 2.039e12, 80 * 0x1p30, 312e12, 0, 300e9},
    {"h100_sxm", 3.35e12, 80 * 0x1p30, 989e12, 1978e12, 450e9},
    {"h200_sxm", 4.8e12, 141 * 0x1p30, 989e12, 1978e12, 450e9},
    {"b200_sxm", 7.7e12, 180 * 0x1p30, 2250e12, 4500e12, 900e9},
    {"l40s", 0.864e12, 48305799168.0, 362.05e12, 733e12, 32e9},
    {"rtx_pro_6000_server", 1.792e12, 102641958912.0, 467.8e12, 935.6e12, 64e9},
};

}  // namespace

Result<Card> find_card(std::string_view name) {
  std::vector<std::string> names;
  for (const Card& card : kCards) {
    if (card.name == name) return card;
    names.emplace_back(card.name);
  }
  return invalid_argument("card: got " + quote(name) + ", expected one of " + join(names, ", "));
}

}  // namespace touchstone::simulator
